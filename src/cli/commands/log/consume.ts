/**
 * `tailrace consume`: prints records from a start up to the end as it stands, or on and on with --follow.
 *
 * Never: prints anything but records on standard output.
 */
import type { Command } from "commander";
import { connectOptions } from "../../connect.ts";
import { fromHelp, type ReadFlags, readOptions, readRecords } from "../../records/read-records.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  readOptions(
    connectOptions(
      program
        .command("consume")
        .description("print records")
        .option("--from <start>", fromHelp, "start")
        .option("--follow", "go on at the end, until Ctrl-C"),
    ),
  ).action((flags: ReadFlags) => runCommand("consume", () => readRecords(flags)));
}
