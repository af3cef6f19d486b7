/**
 * A read from a start to a stop, as slices: what ConsumeStream, ConsumeBatches and /tail have in common. It waits at
 * the end without polling, says when it has caught up and, on request, that it is alive.
 *
 * Never: looks inside a slice.
 */
import { type Clock, within } from "../lib/clock.ts";
import type { BatchSlice, CommitLog, Freshness, Offset, ReadStart, Tail } from "../vocabulary.ts";
import { faultOfAbort } from "./ending.ts";
import type { ReadLimits } from "./read-limit.ts";

export interface ReadPlan {
  readonly start: ReadStart;
  readonly limits: ReadLimits;
  /** Stop at the end as it stands when the read begins. */
  readonly stopAtEnd: boolean;
  readonly freshness: Freshness;
}

/** A read that has begun. */
export interface OpenRead {
  readonly from: Offset;
  /** The plan's, its end brought down to the log's when it stops there. */
  readonly limits: ReadLimits;
  readonly tail: Tail;
  /** True when its end offset is the log's end as it stood: reaching it is having caught up. */
  readonly endsAtEnd: boolean;
}

/** What a read yields: a slice, or a marker between slices. */
export type ReadEvent = BatchSlice | "caught-up" | "heartbeat";

export interface ReadOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How often to say "heartbeat" while waiting; undefined is never. */
  readonly heartbeatMs?: number | undefined;
  /** About how many bytes a slice has at most. */
  readonly sliceBytes?: number | undefined;
}

/** Finds start and end. Throws Fault "out-of-range" with lowest and next. */
export async function openRead(log: CommitLog, plan: ReadPlan, signal: AbortSignal): Promise<OpenRead> {
  const freshness: Freshness = { ...plan.freshness, signal };
  const from = await log.seek(plan.start, freshness);
  let { endOffset } = plan.limits;
  let endsAtEnd = false;
  if (plan.stopAtEnd) {
    const { next } = await log.bounds(freshness);
    endsAtEnd = endOffset === undefined || next <= endOffset;
    if (endsAtEnd) endOffset = next;
  }
  return { from, limits: { ...plan.limits, endOffset }, tail: log.follow(from), endsAtEnd };
}

/**
 * The slices of an open read, up to its end offset. Disposes of the tail, however it ends. Throws the fault of an
 * abort, and Fault "out-of-range" when retention overtakes the reader.
 */
export async function* readSlices(
  read: OpenRead,
  options: ReadOptions,
): AsyncGenerator<ReadEvent, void, undefined> {
  const { tail, limits } = read;
  const { clock, signal, heartbeatMs } = options;
  const stop = (): void => tail[Symbol.dispose]();
  signal.addEventListener("abort", stop, { once: true });
  try {
    let told = false;
    let ready: Promise<boolean> | undefined;
    while (limits.endOffset === undefined || tail.position < limits.endOffset) {
      if (signal.aborted) throw faultOfAbort(signal);
      const slice = tail.take(options.sliceBytes);
      if (slice !== undefined) {
        told = false;
        yield slice;
        continue;
      }
      if (!told) {
        told = true;
        yield "caught-up";
        continue;
      }
      ready ??= tail.ready();
      const woken = await (heartbeatMs === undefined ? ready : within(clock, ready, heartbeatMs));
      if (woken === "late") {
        yield "heartbeat";
        continue;
      }
      ready = undefined;
      if (signal.aborted) throw faultOfAbort(signal);
      if (!woken) return;
    }
    if (read.endsAtEnd && !told) yield "caught-up";
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}
