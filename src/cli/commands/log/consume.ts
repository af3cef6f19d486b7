/** `tailrace consume`: prints the records from a start to the current end, or without an end with --follow. */
import type { Command } from "commander";
import { connectOptions } from "../../connect.ts";
import { logOption } from "../../log-names.ts";
import { fromHelp } from "../../records/read-range.ts";
import { type ReadFlags, readOptions, readRecords } from "../../records/read-records.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  const command = program
    .command("consume")
    .description("print records")
    .option("--from <start>", `${fromHelp} (default: "start")`)
    .option("--ago <duration>", "begin with the records of this long ago, such as 1h, in place of --from")
    .option("--until <time>", "stop before the records of this time, or of this long ago, such as 30m")
    .option(
      "--cursor <name>",
      "begin at this cursor of the log, and commit it after the output; --from counts while there is none",
    )
    .option("--follow", "wait for new records at the end, until Ctrl-C");
  readOptions(connectOptions(logOption(command))).action((flags: ReadFlags) =>
    runCommand("consume", () => readRecords(flags, "start")),
  );
}
