/**
 * `tailrace tail`: prints records as they are appended. The same as `consume --follow --from end`, but with -n and without -f
 * it ends at the current end. With several logs or a prefix, each line has the name of its log, and a token with which another
 * call continues.
 */
import type { Command } from "commander";
import { connectOptions } from "../../connect.ts";
import { usageFault } from "../../exit-status.ts";
import { type LogsFlags, logsOf, logsOptions } from "../../log-names.ts";
import { fromHelp } from "../../records/read-range.ts";
import { type ReadFlags, readOptions, readRecords } from "../../records/read-records.ts";
import { tailRecords } from "../../records/tail-records.ts";
import { runCommand } from "../../run-command.ts";

type TailFlags = Omit<ReadFlags, "log"> & LogsFlags;

export function register(program: Command): void {
  const command = program
    .command("tail")
    .description("print records as they are appended, until Ctrl-C")
    .option(
      "--from <start>",
      `${fromHelp}; for several logs: start, end or a token ("resume") (default: "end")`,
    )
    .option("-n, --last <n>", "the last n records, and then end, unless -f is given")
    .option("-f, --follow", "wait for new records after the last n; without -n it always does");
  readOptions(connectOptions(logsOptions(command))).action((flags: TailFlags) =>
    runCommand("tail", () => {
      const logs = logsOf(flags);
      const isOne = !("prefix" in logs) && logs.length === 1;
      if (isOne) {
        const follow = flags.follow === true || flags.last === undefined;
        return readRecords({ ...flags, log: logs[0]!, follow }, "end");
      }
      if (flags.last !== undefined)
        throw usageFault('-n is for one log. Several logs: --from start, end or a token ("resume")');
      return tailRecords(flags, logs);
    }),
  );
}
