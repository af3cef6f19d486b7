/**
 * Reads records one by one from any commit log: `for await (const record of consume(log, { from: "start" }))`.
 * The reader sets the pace: a full buffer stops the stream. The records have neither gaps nor duplicates.
 */
import { Fault } from "../../fault.ts";
import type { CommitLog, Freshness, Offset, ReadStart } from "../../types.ts";
import { signalOf } from "../options.ts";
import { type ReadFrom, readStartOf } from "./read-from.ts";
import { type LogRecord, recordsOf } from "./record-batch.ts";

export interface ConsumeOptions {
  /** Where to start. Default "end": only records that are appended from now on. */
  readonly from?: ReadFrom;
  /** Stop before this offset, or at what is the end of the log at the start. Default: no limit. */
  readonly until?: Offset | "end";
  /** How fresh the node must be that finds the start and the end. Default: that of the log. */
  readonly freshness?: Freshness;
  /** Ends the reading with its reason. Default: none. */
  readonly signal?: AbortSignal;
}

/**
 * Yields the records from `from` (default: the end) to `until` (default: without a limit).
 * @throws Fault "bad-request" for invalid options, "out-of-range" if the start is not in the log or has been trimmed, and
 *   the reason of the signal
 */
export async function* consume(
  log: CommitLog,
  options: ConsumeOptions = {},
): AsyncGenerator<LogRecord, void, undefined> {
  const signal = signalOf(options.signal);
  const freshness: Freshness = { ...options.freshness, ...(signal === undefined ? {} : { signal }) };
  const from = await startOf(log, readStartOf(options.from ?? "end"), freshness);
  const until = await endOf(log, options.until, freshness);
  if (options.until === "end" && from > until!) await log.read(from, freshness); // throws "out-of-range"
  using tail = log.follow(from);
  const stop = (): void => tail[Symbol.dispose]();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    while (until === undefined || tail.position < until) {
      signal?.throwIfAborted();
      const { position } = tail;
      const slice = tail.take();
      if (slice === undefined) {
        if ((await tail.ready()) || signal?.aborted) continue;
        return;
      }
      for (const record of recordsOf(slice, position)) {
        if (until !== undefined && record.offset >= until) return;
        yield record;
      }
    }
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

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
