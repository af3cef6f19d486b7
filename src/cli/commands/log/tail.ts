/** `tailrace tail`: prints records as they are appended. The same as `consume --follow --from end`. */
import type { Command } from "commander";
import { connectOptions } from "../../connect.ts";
import { logOption } from "../../log-names.ts";
import { fromHelp, type ReadFlags, readOptions, readRecords } from "../../records/read-records.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  const command = program
    .command("tail")
    .description("print records as they are appended, until Ctrl-C")
    .option("--from <start>", fromHelp, "end");
  readOptions(connectOptions(logOption(command))).action((flags: ReadFlags) =>
    runCommand("tail", () => readRecords({ ...flags, follow: true })),
  );
}
