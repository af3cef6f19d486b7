/**
 * One record, waited for when asked: what Consume and `GET /` do. A record that is in the log is not read before its
 * client takes something and there is memory for it: a thousand callers that wait hold nothing.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { BatchSlice, CommitLog, Freshness, Offset, ReadStart } from "../../types.ts";
import { faultOfAbort, unlessAborted } from "../calls/abort.ts";
import { holdWhenRoom, type SingleRead } from "./read-admission.ts";

export interface ReadOnePlan {
  readonly start: ReadStart;
  /** At the end of the log: how long to wait for the record; 0 is not at all. */
  readonly waitMs: number;
  readonly freshness: Freshness;
}

/**
 * The slice that holds the record, and its offset.
 * @throws Fault "out-of-range" with lowest and next; "overloaded" when there is no memory for it in time
 */
export async function readOne(
  log: CommitLog,
  plan: ReadOnePlan,
  room: SingleRead,
): Promise<{ readonly slice: BatchSlice; readonly offset: Offset }> {
  const { start, waitMs, freshness } = plan;
  const { clock, signal } = room;
  const offset =
    "offset" in start ? start.offset : await unlessAborted(log.seek(start, freshness), signal, "no");
  await holdWhenRoom(room, batchBytes(log, offset));
  try {
    return { slice: await unlessAborted(log.read(offset, freshness), signal, "no"), offset };
  } catch (reason) {
    const fault = Fault.from(reason);
    if (waitMs === 0 || fault.kind !== "out-of-range") throw fault;
    const { lowest, next } = await log.bounds({ mode: "any" });
    if (offset < lowest) throw fault;
    const slice = await waitFor(log, offset, Math.min(offset, next), waitMs, clock, signal);
    // The log may have grown meanwhile: the fault of this read names the end as it is now.
    return { slice: slice ?? (await unlessAborted(log.read(offset, { mode: "any" }), signal, "no")), offset };
  }
}

/** Bytes of the batch that holds the record; 0 where this node does not have it yet, or cannot know. */
function batchBytes(log: CommitLog, offset: Offset): number {
  try {
    using tail = log.follow(offset);
    return tail.nextBytes?.() ?? 0;
  } catch {
    return 0; // read() says what is wrong
  }
}

/** Follows from `from` until the record at `offset` is there; undefined when time is up. */
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
