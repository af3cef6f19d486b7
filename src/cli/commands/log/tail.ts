/**
 * `tailrace tail`: prints records as they are appended. The same as `consume --follow --from end`, but with -n and without -f
 * it ends at the current end.
 */
import type { Command } from "commander";
import { connectOptions } from "../../connect.ts";
import { logOption } from "../../log-names.ts";
import { fromHelp } from "../../records/read-range.ts";
import { type ReadFlags, readOptions, readRecords } from "../../records/read-records.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  const command = program
    .command("tail")
    .description("print records as they are appended, until Ctrl-C")
    .option("--from <start>", `${fromHelp} (default: "end")`)
    .option("-n, --last <n>", "the last n records, and then end, unless -f is given")
    .option("-f, --follow", "wait for new records after the last n; without -n it always does");
  readOptions(connectOptions(logOption(command))).action((flags: ReadFlags) =>
    runCommand("tail", () =>
      readRecords({ ...flags, follow: flags.follow === true || flags.last === undefined }, "end"),
    ),
  );
}
