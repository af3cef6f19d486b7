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
 * Returns the slice that holds the record, and the record's offset.
 * @throws Fault "out-of-range" with lowest and next; "overloaded" if there is no memory for it in time
 */
export async function readOne(
  log: CommitLog,
  plan: ReadOnePlan,
  options: SingleReadOptions,
): Promise<{ readonly slice: BatchSlice; readonly offset: Offset }> {
  const { start, waitMs, freshness } = plan;
  const { clock, signal } = options;
  const offset =
    "offset" in start ? start.offset : await unlessAborted(log.seek(start, freshness), signal, "no");
  await reserveWhenReadable(options, await batchBytes(log, offset));
  try {
    return { slice: await unlessAborted(log.read(offset, freshness), signal, "no"), offset };
  } catch (reason) {
    const fault = Fault.from(reason);
    if (waitMs === 0 || fault.kind !== "out-of-range") throw fault;
    const { lowest, next } = await log.bounds({ mode: "any" });
    if (offset < lowest) throw fault;
    const slice = await waitFor(log, offset, Math.min(offset, next), waitMs, clock, signal);
    // The log may have grown in the meantime: this read fails with the current end of the log.
    return { slice: slice ?? (await unlessAborted(log.read(offset, { mode: "any" }), signal, "no")), offset };
  }
}

/** Returns the size of the batch that holds the record; 0 if this node does not have it yet or cannot know. */
async function batchBytes(log: CommitLog, offset: Offset): Promise<number> {
  try {
    using tail = log.follow(offset);
    await tail.prepare?.();
    return tail.nextBytes?.() ?? 0;
  } catch {
    return 0; // read() fails with the reason
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
