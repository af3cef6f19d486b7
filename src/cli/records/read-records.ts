/**
 * What `consume` and `tail` share: they print records from a start on. If the connection is lost, they continue with the
 * next record.
 */
import type { Command } from "commander";
import type { LogClient } from "../../client/mod.ts";
import { systemClock } from "../../lib/time/clock.ts";
import type { Offset } from "../../types.ts";
import { type ConnectFlags, connect } from "../connect.ts";
import { argumentFault, exitStatus } from "../exit-status.ts";
import { type LogFlag, logOf } from "../log-names.ts";
import { print } from "../output/standard-output.ts";
import { type RangeFlags, type ReadRange, rangeOf } from "./read-range.ts";
import { recordPrinter } from "./record-format.ts";

export interface ReadFlags extends ConnectFlags, LogFlag, RangeFlags {
  readonly count?: string;
  readonly format: string;
  readonly unsafeRaw?: true;
}

/** Adds --count and --format. */
export function readOptions(command: Command): Command {
  return command
    .option("--count <n>", "stop after n records")
    .option(
      "--format <format>",
      "json, raw (value and a line end), hex, or text with %o %t %k %v %s %l %% \\n",
      "json",
    )
    .option("--unsafe-raw", "print unescaped bytes on a terminal, too; records can contain escape sequences");
}

/** Prints the records of the flags. `byDefault` is the start if they state none. */
export async function readRecords(flags: ReadFlags, byDefault: "start" | "end"): Promise<number> {
  const name = logOf(flags);
  const toText = recordPrinter(flags.format, process.stdout.isTTY && flags.unsafeRaw !== true, name);
  const count = countOf(flags);
  const range = rangeOf(flags, byDefault, systemClock.wallMs());
  using client = await connect(flags);
  const log = client.log(name);
  const from = await log.seek(range.start); // fails if the node is unreachable, unlike the tail, which waits
  const until = flags.follow === true ? {} : { until: await endOf(log, range, from) };
  let left = count;
  for await (const record of log.consume({ from: { offset: from }, ...until })) {
    await print(toText(record));
    if (--left === 0) break;
  }
  return exitStatus.done;
}

/** The number of records of --count; 0 for no limit. @throws Fault "config" */
export function countOf({ count }: Pick<ReadFlags, "count">): number {
  if (count === undefined) return 0;
  if (Number.isSafeInteger(Number(count)) && Number(count) >= 1) return Number(count);
  throw argumentFault("--count must be a whole number of at least 1", count);
}

/** A start beyond the end of the log is refused with and without --until. */
async function endOf(log: LogClient, { untilMs }: ReadRange, from: Offset): Promise<Offset | "end"> {
  if (untilMs === undefined) return "end";
  const until = await log.seek({ fromTimeMs: untilMs });
  return from > until && from > (await log.seek({ end: true })) ? "end" : until;
}
