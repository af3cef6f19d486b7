/**
 * The steps of a read: what it yields next, or that it waits. It waits at the end of the log without polling, says when it has
 * caught up and, if asked to, that it is alive. All reads together begin slices for a few milliseconds in one turn of the event
 * loop: slices that come from a cold disk can be small and slow.
 *
 *   begin → turn → found → begin …      a turn of the event loop, the place of the next record, then its slice
 */

import type { FilteredTail } from "../../../filter/mod.ts";
import type { Clock, Timer } from "../../../lib/time/clock.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import type { MemoryBudget } from "../../../memory/mod.ts";
import type { BatchSlice, Offset, Tail } from "../../../types.ts";
import { faultOfAbort } from "../../calls/abort.ts";
import { mayRead, type ReadHold, type Sink, waitToRead } from "../read-admission.ts";
import type { ReadLimits } from "../read-limit.ts";
import type { Pacer } from "./pacer.ts";

/** A read that has begun. */
export interface OpenRead {
  readonly from: Offset;
  /** The limits of the plan. Its end offset is at most the end of the log if the plan stops there. */
  readonly limits: ReadLimits;
  readonly tail: Tail;
  /** The tail, if it has a filter. */
  readonly filtered?: FilteredTail;
  /** True if the end offset is the end of the log: the read has then caught up when it reaches it. */
  readonly endsAtEnd: boolean;
}

/** What a read yields: a slice, or a marker between slices. "suspended" is the last event: the filter has used its time. */
export type ReadEvent = BatchSlice | "caught-up" | "heartbeat" | "suspended";

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
  /** Spaces the steps of reads that the log wakes. Default: each takes its step at once. */
  readonly pacer?: Pacer;
}

/** There is no event yet. `wake` is called when next() should be called again. */
export const pending = Symbol("pending");

export class ReadSteps implements Disposable {
  readonly #read: OpenRead;
  readonly #options: ReadOptions;
  readonly #wake: () => void;
  readonly #nextBytes = (): number => this.#read.tail.nextBytes?.() ?? 0;
  readonly #stop = (): void => this.#read.tail[Symbol.dispose]();
  /** What next() has still to do before it takes a slice. */
  #stage: "begin" | "turn" | "found" = "begin";
  /** What the tail's ready() has said, as long as it is of use. */
  #ready: "unknown" | "more" | "end" | undefined;
  /** The place of the next record is being looked for, or was found. */
  #place: "unknown" | "found" | undefined;
  /** next() waits for the log. */
  #isWaiting = false;
  /** When the wait began, monotonic milliseconds. */
  #waitingSinceMs = 0;
  /** A heartbeat is due because the wait is long. */
  #isLate = false;
  #beatTimer: Timer | undefined;
  /** "caught-up" was sent after the last slice that had a record. */
  #sentCaughtUp = false;
  #sentSuspended = false;
  /** When the last heartbeat was sent, or the read began. */
  #beatMs: number;
  /** The last event was a heartbeat. Another one is due only after a step: a busy node would send nothing else. */
  #hasBeaten = false;
  #failure: { readonly reason: unknown } | undefined;

  /** `wake` is never called during next(). */
  constructor(read: OpenRead, options: ReadOptions, wake: () => void) {
    this.#read = read;
    this.#options = options;
    this.#wake = wake;
    this.#beatMs = options.clock.monotonicMs();
    options.signal.addEventListener("abort", this.#stop, { once: true });
  }

  /**
   * Returns the next event, undefined at the end.
   * @throws the fault of an abort; Fault "out-of-range" when retention deletes the next record
   */
  next(): ReadEvent | typeof pending | undefined {
    const { tail, limits, endsAtEnd } = this.#read;
    const { signal, sink, memory, hold } = this.#options;
    hold.sent();
    while (limits.endOffset === undefined || tail.position < limits.endOffset) {
      if (signal.aborted) throw faultOfAbort(signal);
      if (this.#failure !== undefined) throw this.#failure.reason;
      if (this.#isSuspended) return this.#suspended();
      if (this.#takeLate() || this.#isBeatDue()) return this.#marker("heartbeat");
      if (!this.#mayTake()) return pending;
      if (!mayRead(sink, memory, this.#nextBytes)) return this.#waitToRead();
      this.#stage = "begin";
      const slice = tail.take(this.#options.sliceBytes);
      if (slice !== undefined) {
        if (slice.kept?.length !== 0) this.#sentCaughtUp = false;
        hold.hold(slice);
        return slice;
      }
      if (this.#isSuspended) continue;
      if (!this.#sentCaughtUp) return this.#caughtUp();
      if (this.#ready === "end") return undefined;
      if (this.#ready === "more") this.#ready = undefined;
      else return this.#waitForLog();
    }
    return endsAtEnd && !this.#sentCaughtUp ? this.#caughtUp() : undefined;
  }

  /** Returns false if next() must be called again. */
  #mayTake(): boolean {
    if (this.#stage === "begin") {
      this.#hasBeaten = false;
      this.#stage = "turn";
      // At the end of the log there is no slice to take.
      if (!this.#isAtEnd && !this.#mayBegin()) return false;
    }
    if (this.#stage === "turn") {
      if (this.#place === undefined) this.#findPlace();
      if (this.#place === "unknown") {
        this.#wait();
        return false;
      }
      this.#stage = "found";
      this.#place = undefined;
    }
    return true;
  }

  get #isAtEnd(): boolean {
    const { end, position } = this.#read.tail;
    return end !== undefined && position >= end;
  }

  #findPlace(): void {
    const finding = this.#read.tail.prepare?.();
    if (finding === undefined) {
      this.#place = "found";
      return;
    }
    this.#place = "unknown";
    finding.then(() => {
      this.#place = "found";
      if (this.#isWaiting && this.#mayBegin()) this.#endWait();
    }, this.#fail);
  }

  /** Returns false if this turn of the event loop is full. The reader is woken in a later one then. */
  #mayBegin(): boolean {
    const turns = workTurns(this.#options.clock);
    if (turns.mayBegin()) return true;
    this.#isWaiting = false;
    turns.wait(this.#wake);
    return false;
  }

  #waitToRead(): typeof pending {
    waitToRead({ ...this.#options, nextBytes: this.#nextBytes }).then(this.#wake, this.#fail);
    return pending;
  }

  #waitForLog(): typeof pending {
    if (this.#ready === undefined) {
      this.#ready = "unknown";
      this.#read.tail.ready().then(this.#onReady, this.#fail);
    }
    this.#wait();
    return pending;
  }

  readonly #onReady = (more: boolean): void => {
    this.#ready = more ? "more" : "end";
    if (!this.#isWaiting) return;
    const { pacer } = this.#options;
    if (!more || pacer === undefined) {
      this.#endWait();
      return;
    }
    this.#isWaiting = false;
    pacer.schedule(this);
  };

  /** For the pacer. */
  flush(): void {
    // The pacer has found time in this turn of the event loop.
    if (this.#stage === "begin" && !this.#isLate) {
      this.#hasBeaten = false;
      this.#stage = "turn";
    }
    this.#wake();
  }

  #wait(): void {
    const { clock, heartbeatMs } = this.#options;
    this.#isWaiting = true;
    if (heartbeatMs === undefined) return;
    this.#waitingSinceMs = clock.monotonicMs();
    // One timer for many waits: most of them are short.
    this.#beatTimer ??= clock.after(heartbeatMs, this.#onBeatTimer);
  }

  readonly #onBeatTimer = (): void => {
    this.#beatTimer = undefined;
    const { clock, heartbeatMs = 0 } = this.#options;
    if (!this.#isWaiting) return;
    const leftMs = this.#waitingSinceMs + heartbeatMs - clock.monotonicMs();
    if (leftMs > 0) {
      this.#beatTimer = clock.after(leftMs, this.#onBeatTimer);
      return;
    }
    this.#isLate = true;
    this.#endWait();
  };

  #endWait(): void {
    this.#isWaiting = false;
    this.#wake();
  }

  readonly #fail = (reason: unknown): void => {
    this.#failure = { reason };
    this.#endWait();
  };

  /** Returns true if a wait was so long that a heartbeat is due, and the client takes it. */
  #takeLate(): boolean {
    if (!this.#isLate) return false;
    this.#isLate = false;
    this.#stage = "begin";
    return this.#options.sink.writableBytes > 0;
  }

  #caughtUp(): ReadEvent {
    this.#sentCaughtUp = true;
    return this.#marker("caught-up");
  }

  get #isSuspended(): boolean {
    return this.#read.filtered?.isSuspended === true;
  }

  #suspended(): ReadEvent | undefined {
    if (this.#sentSuspended) return undefined;
    this.#sentSuspended = true;
    return "suspended";
  }

  #isBeatDue(): boolean {
    const { clock, heartbeatMs, beatsBehind = false, sink } = this.#options;
    if (!beatsBehind || heartbeatMs === undefined || this.#hasBeaten || this.#stage !== "begin") return false;
    const { end = 0, position } = this.#read.tail;
    if (sink.writableBytes === 0 || position >= end) return false;
    return clock.monotonicMs() - this.#beatMs >= heartbeatMs;
  }

  #marker(marker: "caught-up" | "heartbeat"): ReadEvent {
    if (marker === "heartbeat") this.#beatMs = this.#options.clock.monotonicMs();
    this.#hasBeaten = marker === "heartbeat";
    return marker;
  }

  [Symbol.dispose](): void {
    this.#options.signal.removeEventListener("abort", this.#stop);
    this.#options.hold.release();
    this.#beatTimer?.cancel();
    this.#isWaiting = false;
    this.#stop();
  }
}
