/**
 * Reads records one by one from any commit log: `for await (const record of consume(log, { from: "start" }))`.
 * The reader sets the pace: a full buffer stops the stream. The records have neither gaps nor duplicates.
 */
import { Fault } from "../../fault.ts";
import type { BatchSlice, CommitLog, Freshness, Offset, ReadStart, Tail } from "../../types.ts";
import { signalOf } from "../options.ts";
import { checkFilter, consumeFiltered, type FilterOptions, filteringLog } from "./consume-filtered.ts";
import { type ReadFrom, readStartOf } from "./read-from.ts";
import { type LogRecord, recordsOf } from "./record-batch.ts";

export interface ConsumeOptions extends FilterOptions {
  /** Where to start. Default "end": only records that are appended from now on. */
  readonly from?: ReadFrom;
  /** Stop before this offset, or at what is the end of the log at the start. Default: no limit. */
  readonly until?: Offset | "end";
  /** How fresh the node must be that finds the start and the end. Default: that of the log. */
  readonly freshness?: Freshness;
  /** Ends the reading with its reason. Default: none. */
  readonly signal?: AbortSignal;
}

/** Some of the records that consume() yields, as they are stored: those of `slice` from `from` on and before `until`. */
export interface ConsumedSlice {
  readonly slice: BatchSlice;
  readonly from: Offset;
  /** Undefined: all. */
  readonly until: Offset | undefined;
}

/** How often a start is looked up that retention overtakes before the first record is read. */
const startsMax = 10;

/**
 * Yields the records from `from` (default: the end) to `until` (default: without a limit). A start that is not an offset, such as
 * "start", is looked up again if its record is trimmed before it is read.
 * @throws Fault "bad-request" for invalid options, "out-of-range" if the start is not in the log or has been trimmed, and
 *   the reason of the signal
 */
export async function* consume(
  log: CommitLog,
  options: ConsumeOptions = {},
): AsyncGenerator<LogRecord, void, undefined> {
  checkFilter(options);
  if (options.filter !== undefined) {
    yield* consumeFiltered(filteringLog(log), await rangeOf(log, options), options);
    return;
  }
  for await (const { slice, from, until } of consumeSlices(log, options)) {
    for (const record of recordsOf(slice, from)) {
      if (until !== undefined && record.offset >= until) return;
      yield record;
    }
  }
}

/** Where a read with a filter begins and ends. */
async function rangeOf(log: CommitLog, { from = "end", until: given, ...options }: ConsumeOptions) {
  const signal = signalOf(options.signal);
  const freshness: Freshness = { ...options.freshness, ...(signal === undefined ? {} : { signal }) };
  const begin = await startOf(log, readStartOf(from), freshness);
  const until = await endOf(log, given, freshness);
  if (given === "end" && begin > until!) await log.read(begin, freshness); // throws "out-of-range"
  return { from: begin, until, signal };
}

/** The records of consume() without a promise for each, and without a filter. It throws the same. */
export async function* consumeSlices(
  log: CommitLog,
  options: ConsumeOptions = {},
): AsyncGenerator<ConsumedSlice, void, undefined> {
  const signal = signalOf(options.signal);
  const freshness: Freshness = { ...options.freshness, ...(signal === undefined ? {} : { signal }) };
  const start = readStartOf(options.from ?? "end");
  let from = await startOf(log, start, freshness);
  const until = await endOf(log, options.until, freshness);
  if (options.until === "end" && from > until!) await log.read(from, freshness); // throws "out-of-range"
  for (let starts = 1; ; starts++) {
    let isRead = false;
    let tail: Tail | undefined;
    const stop = (): void => tail?.[Symbol.dispose]();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      tail = log.follow(from);
      while (until === undefined || tail.position < until) {
        signal?.throwIfAborted();
        const { position } = tail;
        const slice = tail.take();
        if (slice === undefined) {
          if ((await tail.ready()) || signal?.aborted) continue;
          return;
        }
        isRead = true;
        yield { slice, from: position, until };
      }
      return;
    } catch (reason) {
      if (isRead || starts === startsMax || "offset" in start || !isTrimmed(reason, from)) throw reason;
    } finally {
      signal?.removeEventListener("abort", stop);
      stop();
    }
    from = await startOf(log, start, freshness);
  }
}

const isTrimmed = (reason: unknown, from: Offset): boolean =>
  reason instanceof Fault && reason.kind === "out-of-range" && (reason.facts.lowest ?? 0) > from;

async function startOf(log: CommitLog, from: ReadStart, freshness: Freshness): Promise<Offset> {
  return "offset" in from ? from.offset : log.seek(from, freshness);
}

async function endOf(
  log: CommitLog,
  until: ConsumeOptions["until"],
  freshness: Freshness,
): Promise<Offset | undefined> {
  if (until === undefined) return undefined;
  if (until === "end") return log.seek({ end: true }, freshness);
  const start = typeof until === "number" ? readStartOf(until) : undefined;
  if (start !== undefined && "offset" in start) return start.offset;
  throw new Fault("bad-request", {
    message: `until must be "end" or an offset, not ${String(until)}`,
    facts: { field: "until" },
  });
}
