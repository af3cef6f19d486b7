/** `tailrace consume`: prints the records from a start to the current end, or without an end with --follow. */
import type { Command } from "commander";
import { connectOptions } from "../../connect.ts";
import { logOption } from "../../log-names.ts";
import { fromHelp, type ReadFlags, readOptions, readRecords } from "../../records/read-records.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  const command = program
    .command("consume")
    .description("print records")
    .option("--from <start>", fromHelp, "start")
    .option("--follow", "wait for new records at the end, until Ctrl-C");
  readOptions(connectOptions(logOption(command))).action((flags: ReadFlags) =>
    runCommand("consume", () => readRecords(flags)),
  );
}
