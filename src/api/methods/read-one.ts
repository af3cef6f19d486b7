/**
 * Reads one record, and waits for it if asked to: Consume and GET /. A record is not read before its client accepts bytes
 * and there is memory for it, so a thousand waiting clients hold nothing.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { BatchSlice, CommitLog, Freshness, Offset, ReadStart } from "../../types.ts";
import { faultOfAbort, unlessAborted } from "../calls/abort.ts";
import { reserveWhenReadable, type SingleReadOptions } from "./read-admission.ts";

export interface ReadOnePlan {
  readonly start: ReadStart;
  /** How long to wait for a record behind the end of the log, in milliseconds. 0: do not wait. */
  readonly waitMs: number;
  readonly freshness: Freshness;
}

/**
 * Returns a slice that holds the record, maybe without other records of its batch, and the record's offset.
 * @throws Fault "out-of-range" with lowest and next; "overloaded" if there is no memory for it in time
 */
export async function readOne(
  log: CommitLog,
  plan: ReadOnePlan,
  options: SingleReadOptions,
): Promise<{ readonly slice: BatchSlice; readonly offset: Offset }> {
  const { start, waitMs } = plan;
  const { clock, signal } = options;
  const freshness = { ...plan.freshness, signal };
  const offset =
    "offset" in start ? start.offset : await unlessAborted(log.seek(start, freshness), signal, "no");
  await reserveWhenReadable(options, await bytesToRead(log, offset, signal));
  try {
    return { slice: await unlessAborted(readRecord(log, offset, freshness), signal, "no"), offset };
  } catch (reason) {
    const fault = Fault.from(reason);
    if (waitMs === 0 || fault.kind !== "out-of-range") throw fault;
    const { lowest, next } = await log.bounds({ mode: "any" });
    if (offset < lowest) throw fault;
    const slice = await waitFor(log, offset, Math.min(offset, next), waitMs, clock, signal);
    // The log may have grown in the meantime: this read fails with the current end of the log.
    const read = () => unlessAborted(readRecord(log, offset, { mode: "any" }), signal, "no");
    return { slice: slice ?? (await read()), offset };
  }
}

const readRecord = (log: CommitLog, offset: Offset, freshness: Freshness): Promise<BatchSlice> =>
  log.readRecord?.(offset, freshness) ?? log.read(offset, freshness);

/** Returns how many bytes are read for the record; 0 if this node does not have it yet or cannot know. */
async function bytesToRead(log: CommitLog, offset: Offset, signal: AbortSignal): Promise<number> {
  let stop: (() => void) | undefined;
  try {
    using tail = log.follow(offset);
    const preparing = tail.prepare?.();
    if (preparing !== undefined) {
      stop = () => tail[Symbol.dispose]();
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      await preparing;
    }
    return log.recordBytes?.(offset) ?? tail.nextBytes?.() ?? 0;
  } catch {
    return 0; // read() fails with the reason
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}

/** Follows the log from `from` until it holds the record at `offset`. Returns undefined when `waitMs` has passed. */
async function waitFor(
  log: CommitLog,
  offset: Offset,
  from: Offset,
  waitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<BatchSlice | undefined> {
  using tail = log.follow(from);
  const stop = (): void => tail[Symbol.dispose]();
  const timer = clock.after(waitMs, stop);
  signal.addEventListener("abort", stop, { once: true });
  try {
    while (!signal.aborted) {
      await tail.prepare?.();
      const slice = tail.take();
      if (slice !== undefined && slice.nextOffset > offset) return slice;
      if (slice === undefined && !(await tail.ready())) break;
    }
    if (signal.aborted) throw faultOfAbort(signal);
    return undefined;
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", stop);
  }
}
