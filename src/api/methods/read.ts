/**
 * A read from a start to a stop, as slices. ConsumeStream, ConsumeBatches and GET /tail share it. It waits at the end of the
 * log without polling, says when it has caught up and, if asked to, that it is alive. All reads together begin slices for a
 * few milliseconds in one turn of the event loop: slices that come from a cold disk can be small and slow.
 */
import { type Clock, within } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { BatchSlice, CommitLog, Freshness, Offset, ReadStart, Tail } from "../../types.ts";
import { faultOfAbort } from "../calls/abort.ts";
import { mayRead, type ReadHold, type Sink, waitToRead } from "./read-admission.ts";
import type { ReadLimits } from "./read-limit.ts";

export interface ReadPlan {
  readonly start: ReadStart;
  readonly limits: ReadLimits;
  /** Stop at the end that the log has when the read begins. */
  readonly stopAtEnd: boolean;
  readonly freshness: Freshness;
}

/** A read that has begun. */
export interface OpenRead {
  readonly from: Offset;
  /** The limits of the plan. Its end offset is at most the end of the log if the plan stops there. */
  readonly limits: ReadLimits;
  readonly tail: Tail;
  /** True if the end offset is the end of the log: the read has then caught up when it reaches it. */
  readonly endsAtEnd: boolean;
}

/** What a read yields: a slice, or a marker between slices. */
export type ReadEvent = BatchSlice | "caught-up" | "heartbeat";

export interface ReadOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Interval of "heartbeat" events while the read waits, in milliseconds. Default: none. */
  readonly heartbeatMs?: number | undefined;
  /** "heartbeat" events also while the read is behind: its client learns from them how far. Default false. */
  readonly beatsBehind?: boolean;
  /** Approximate limit of a slice, in bytes. */
  readonly sliceBytes?: number | undefined;
  /** Receives the slices. Nothing is read before it accepts bytes. */
  readonly sink: Sink;
  readonly memory: MemoryBudget;
  /** Counts the memory of the slice that is being sent. */
  readonly hold: ReadHold;
}

/**
 * Finds the start and the end of a read, and opens its tail. The caller disposes of the tail.
 * @throws Fault "out-of-range" with lowest and next; "not-found" for a log that was deleted; the fault of an abort
 */
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
 * Yields the events of an open read, up to its end offset, and disposes of the tail. The generator and its consumer keep
 * the last slice while they wait for the next one, so the hold of the options must have `keeps`.
 * @throws the fault of an abort; Fault "out-of-range" when retention deletes the next record
 */
export async function* readSlices(
  read: OpenRead,
  options: ReadOptions,
): AsyncGenerator<ReadEvent, void, undefined> {
  using steps = new ReadSteps(read, options);
  for (let event = await steps.next(); event !== undefined; event = await steps.next()) yield event;
}

/**
 * Passes the events of an open read to `send` until it returns false, and disposes of the tail. No slice is kept while it
 * waits.
 * @throws as readSlices()
 */
export async function followSlices(
  read: OpenRead,
  options: ReadOptions,
  send: (event: ReadEvent) => Promise<boolean>,
): Promise<void> {
  using steps = new ReadSteps(read, options);
  // A separate function: the slice is unreachable when it returns.
  const step = async (): Promise<boolean> => {
    const event = await steps.next();
    return event !== undefined && (await send(event));
  };
  while (await step());
}

class ReadSteps implements Disposable {
  readonly #read: OpenRead;
  readonly #options: ReadOptions;
  readonly #nextBytes = (): number => this.#read.tail.nextBytes?.() ?? 0;
  readonly #stop = (): void => this.#read.tail[Symbol.dispose]();
  /** "caught-up" was sent after the last slice. */
  #sentCaughtUp = false;
  /** When the last marker was sent, or the read began. */
  #markedMs: number;
  #ready: Promise<boolean> | undefined;

  constructor(read: OpenRead, options: ReadOptions) {
    this.#read = read;
    this.#options = options;
    this.#markedMs = options.clock.monotonicMs();
    options.signal.addEventListener("abort", this.#stop, { once: true });
  }

  /** Returns the next event, undefined at the end. */
  async next(): Promise<ReadEvent | undefined> {
    const { tail, limits, endsAtEnd } = this.#read;
    const { signal, sink, memory, hold, clock } = this.#options;
    hold.sent();
    while (limits.endOffset === undefined || tail.position < limits.endOffset) {
      if (signal.aborted) throw faultOfAbort(signal);
      if (this.#isBeatDue()) return this.#marker("heartbeat");
      const turn = workTurns(clock).next();
      if (turn !== undefined) await turn;
      const prepared = tail.prepare?.();
      if (prepared !== undefined) {
        await prepared;
        await workTurns(clock).next();
      }
      if (signal.aborted) throw faultOfAbort(signal);
      while (!mayRead(sink, memory, this.#nextBytes)) {
        await waitToRead({ ...this.#options, nextBytes: this.#nextBytes });
      }
      const slice = tail.take(this.#options.sliceBytes);
      if (slice !== undefined) {
        this.#sentCaughtUp = false;
        hold.hold(slice);
        return slice;
      }
      if (!this.#sentCaughtUp) return this.#caughtUp();
      const woken = await this.#wait();
      if (woken === "late" && sink.writableBytes > 0) return this.#marker("heartbeat");
      if (woken === false) return undefined;
    }
    return endsAtEnd && !this.#sentCaughtUp ? this.#caughtUp() : undefined;
  }

  #caughtUp(): ReadEvent {
    this.#sentCaughtUp = true;
    return this.#marker("caught-up");
  }

  #isBeatDue(): boolean {
    const { clock, heartbeatMs, beatsBehind = false, sink } = this.#options;
    const { end = 0, position } = this.#read.tail;
    if (!beatsBehind || heartbeatMs === undefined || sink.writableBytes === 0 || position >= end)
      return false;
    return clock.monotonicMs() - this.#markedMs >= heartbeatMs;
  }

  #marker(marker: "caught-up" | "heartbeat"): ReadEvent {
    this.#markedMs = this.#options.clock.monotonicMs();
    return marker;
  }

  /** Resolves to true if there is more, false if there will be no more, "late" if a heartbeat is due. */
  async #wait(): Promise<boolean | "late"> {
    const { clock, signal, heartbeatMs } = this.#options;
    this.#ready ??= this.#read.tail.ready();
    const woken = await (heartbeatMs === undefined ? this.#ready : within(clock, this.#ready, heartbeatMs));
    if (woken === "late") return woken;
    this.#ready = undefined;
    if (signal.aborted) throw faultOfAbort(signal);
    return woken;
  }

  [Symbol.dispose](): void {
    this.#options.signal.removeEventListener("abort", this.#stop);
    this.#options.hold.release();
    this.#stop();
  }
}
