/**
 * Records one by one, from any commit log: `for await (const record of consume(log, { from: { end: true } }))`.
 * The reader's own pace is the stream's: nothing is fetched for a reader that does not ask.
 *
 * Never: skips, repeats, polls.
 */
import { Fault } from "../../fault.ts";
import type { CommitLog, Freshness, Offset, ReadStart } from "../../types.ts";
import { signalOf } from "../options.ts";
import { type ReadFrom, readStartOf } from "./read-from.ts";
import { type LogRecord, recordsOf } from "./record-batch.ts";

export interface ConsumeOptions {
  /** Default: the end, so only what comes from now on. */
  readonly from?: ReadFrom;
  /** Stop before this offset, or at the end as it stands when the reading begins. Default: never. */
  readonly until?: Offset | "end";
  readonly freshness?: Freshness;
  readonly signal?: AbortSignal;
}

/** Throws Fault "out-of-range" when the start is not in the log or trimming overtakes it, and the signal's reason. */
export async function* consume(
  log: CommitLog,
  options: ConsumeOptions = {},
): AsyncGenerator<LogRecord, void, undefined> {
  const signal = signalOf(options.signal);
  const freshness: Freshness = { ...options.freshness, ...(signal === undefined ? {} : { signal }) };
  const from = await startOf(log, readStartOf(options.from ?? "end"), freshness);
  const until = await endOf(log, options.until, freshness);
  if (options.until === "end" && from > until!) await log.read(from, freshness); // says that it is out of range
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
