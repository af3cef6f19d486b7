/**
 * What `consume` and `tail` share: they print records from a start on. If the connection is lost, they continue with the
 * next record.
 */
import type { Command } from "commander";
import { consumeSlices } from "../../client/consume/consume.ts";
import { recordsOf } from "../../client/consume/record-batch.ts";
import { commitEveryMsDefault } from "../../client/cursors/consume-cursor.ts";
import { CursorCommits } from "../../client/cursors/cursor-commits.ts";
import type { LogClient } from "../../client/mod.ts";
import { systemClock } from "../../lib/time/clock.ts";
import type { Offset } from "../../types.ts";
import { type ConnectFlags, connect } from "../connect.ts";
import { argumentFault, exitStatus, usageFault } from "../exit-status.ts";
import { checkedCursor, type LogFlag, logOf } from "../log-names.ts";
import { PrintBuffer } from "../output/print-buffer.ts";
import { print } from "../output/standard-output.ts";
import { printable } from "../output/terminal.ts";
import { printFiltered, showPosition } from "./print-filtered.ts";
import { type RangeFlags, type ReadRange, rangeOf } from "./read-range.ts";
import { type RecordPrinter, recordPrinter } from "./record-format.ts";

export interface ReadFlags extends ConnectFlags, LogFlag, RangeFlags {
  readonly count?: string;
  readonly format?: string;
  readonly filter?: string;
  readonly unsafeRaw?: true;
  readonly cursor?: string;
}

/** Adds --count and --format. */
export function readOptions(command: Command): Command {
  return command
    .option("--count <n>", "stop after n records")
    .option(
      "--filter <condition>",
      `only records for which this condition in CEL holds, such as 'json.level == "error"'; the server evaluates it`,
    )
    .option(
      "--format <format>",
      "text (offset, key and value), json, raw (value and a line end), hex, or a text with %o %t %k %v %s %l %% \\n (default: text on a terminal, else json)",
    )
    .option("--unsafe-raw", "print unescaped bytes on a terminal, too; records can contain escape sequences");
}

/** Prints the records of the flags. `byDefault` is the start if they state none. */
export async function readRecords(flags: ReadFlags, byDefault: "start" | "end"): Promise<number> {
  if (flags.filter !== undefined && flags.cursor !== undefined)
    throw usageFault("--filter and --cursor exclude each other");
  const name = logOf(flags);
  const printRecord = printerOf(flags, name);
  const count = countOf(flags);
  const range = rangeOf(flags, byDefault, systemClock.wallMs());
  using client = await connect(flags);
  const log = client.log(name);
  const resumed = await cursorOf(log, flags);
  const from = await log.seek(resumed.start ?? range.start); // fails if the node is unreachable, unlike the tail, which waits
  const until = flags.follow === true ? {} : { until: await endOf(log, range, from) };
  // The oldest record can be trimmed before it is read: then consume() looks up the start again. The end is the one of the first lookup.
  const start = "end" in range.start || resumed.start !== undefined ? { offset: from } : range.start;
  const commits = resumed.commits?.(from);
  if (flags.filter !== undefined) {
    const reading = log.consume({ from: start, ...until, filter: flags.filter, onPosition: showPosition });
    if (!(await printFiltered(reading, printRecord, count))) sayClosed(flags, name);
    return exitStatus.done;
  }
  let left = count;
  const out = new PrintBuffer();
  for await (const { slice, from, until: end } of consumeSlices(log, { from: start, ...until })) {
    let printed = from;
    for (const record of recordsOf(slice, from)) {
      if (end !== undefined && record.offset >= end) break;
      printRecord(record, out);
      printed = record.offset + 1;
      if (--left === 0) break;
      if (out.isFull) await print(out.take());
    }
    await print(out.take()); // a record of a live tail does not wait for more
    if (printed > from) commits?.done(printed);
    if (left === 0) break;
  }
  await commits?.close();
  if (left !== 0) sayClosed(flags, name);
  return exitStatus.done;
}

function sayClosed({ follow }: ReadFlags, name: string): void {
  if (follow === true)
    process.stderr.write(`the log "${printable(name)}" is closed, there are no more records\n`);
}

interface Resumed {
  /** Undefined: at --from. */
  readonly start?: { readonly offset: Offset };
  /** Commits what was printed. Undefined without --cursor. */
  readonly commits?: (from: Offset) => CursorCommits;
}

async function cursorOf(log: LogClient, { cursor: name }: ReadFlags): Promise<Resumed> {
  if (name === undefined) return {};
  const cursor = log.cursor(checkedCursor(name));
  const found = await cursor.get();
  const commits = (from: Offset): CursorCommits =>
    new CursorCommits(from, { cursor, clock: systemClock, everyMs: commitEveryMsDefault, found });
  return found === undefined ? { commits } : { commits, start: { offset: found.offset } };
}

/**
 * The printer of --format and --json. Without them: text on a terminal, otherwise JSON.
 * @throws Fault "config"
 */
export function printerOf(
  flags: Pick<ReadFlags, "format" | "json" | "unsafeRaw">,
  name?: string,
): RecordPrinter {
  const { format, json, unsafeRaw } = flags;
  if (json && format !== undefined && format !== "json")
    throw usageFault("--json and --format exclude each other");
  const isTerminal = process.stdout.isTTY === true;
  const usual = json || !isTerminal ? "json" : "text";
  return recordPrinter(format ?? usual, isTerminal && unsafeRaw !== true, name);
}

/** The number of records of --count; infinite without it. @throws Fault "config" */
export function countOf({ count }: Pick<ReadFlags, "count">): number {
  if (count === undefined) return Number.POSITIVE_INFINITY;
  if (Number.isSafeInteger(Number(count)) && Number(count) >= 1) return Number(count);
  throw argumentFault("--count must be a whole number of at least 1", count);
}

/** A start beyond the end of the log is refused with and without --until. */
async function endOf(log: LogClient, { untilMs }: ReadRange, from: Offset): Promise<Offset | "end"> {
  if (untilMs === undefined) return "end";
  const until = await log.seek({ fromTimeMs: untilMs });
  return from > until && from > (await log.seek({ end: true })) ? "end" : until;
}
