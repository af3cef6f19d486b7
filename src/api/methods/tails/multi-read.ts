/**
 * A read of several logs, as events. TailLogs and GET /tail share it. It waits at the end without polling, says when it has
 * caught up and that it is alive, and yields to other work between its steps.
 */
import { type Clock, within } from "../../../lib/time/clock.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import type { DeletedLog, MultiTail, TailedBatches } from "../../../types.ts";
import { faultOfAbort } from "../../calls/abort.ts";
import type { ReadOptions } from "../read.ts";
import { mayRead, waitToRead } from "../read-admission.ts";
import { filteredOf } from "./filtered-read.ts";
import type { MultiMarker } from "./tail-logs-message.ts";

/** What a read yields: batches, a log that was deleted, or a marker between them. */
export type MultiEvent = TailedBatches | DeletedLog | MultiMarker;

/** Disposes of the tail with itself. */
export class MultiRead implements Disposable {
  readonly #tail: MultiTail;
  readonly #options: ReadOptions;
  readonly #nextBytes = (): number => this.#tail.nextBytes();
  readonly #stop = (): void => this.#tail[Symbol.dispose]();
  #sentCaughtUp = false;
  #sentSuspended = false;
  /** When the last heartbeat was sent; undefined before the first one. */
  #beatMs: number | undefined;
  /** The last event was a heartbeat. Another one is due only after a step: a busy node would send nothing else. */
  #hasBeaten = false;
  #ready: Promise<boolean> | undefined;

  constructor(tail: MultiTail, options: ReadOptions) {
    this.#tail = tail;
    this.#options = options;
    options.signal.addEventListener("abort", this.#stop, { once: true });
  }

  /**
   * Returns the next event, undefined at the end. The first one is a "heartbeat": the reader can resume from then on.
   * @throws the fault of an abort; as MultiTail.take()
   */
  async next(): Promise<MultiEvent | undefined> {
    const { signal, sink, memory, hold, sliceBytes, clock } = this.#options;
    hold.sent();
    for (;;) {
      if (signal.aborted) throw faultOfAbort(signal);
      if (this.#beatMs !== undefined && filteredOf(this.#tail)?.isSuspended === true)
        return this.#suspended();
      if (!this.#hasBeaten && this.#isMarkerDue()) return this.#marker("heartbeat");
      this.#hasBeaten = false;
      const turn = workTurns(clock).next();
      // Without an await if there is time now: readers that are woken together would all begin.
      if (turn !== undefined) await turn;
      while (!mayRead(sink, memory, this.#nextBytes))
        await waitToRead({ ...this.#options, nextBytes: this.#nextBytes });
      if (signal.aborted) throw faultOfAbort(signal);
      const found = this.#tail.take(sliceBytes);
      if (found === "later") {
        await later(clock);
        continue;
      }
      if (found !== undefined) {
        this.#sentCaughtUp = false;
        if ("slice" in found) hold.hold(found.slice);
        return found;
      }
      if (this.#isSuspended) continue;
      if (!this.#sentCaughtUp) {
        this.#sentCaughtUp = true;
        return this.#marker("caught-up");
      }
      const woken = await this.#wait();
      if (woken === "late" && sink.writableBytes > 0) return this.#marker("heartbeat");
      if (woken === false) return undefined;
    }
  }

  /** A reader that is far behind gets heartbeats, too: it learns from them how far. */
  #isMarkerDue(): boolean {
    const { clock, heartbeatMs, sink } = this.#options;
    if (this.#beatMs === undefined) return true;
    if (heartbeatMs === undefined || sink.writableBytes === 0) return false;
    return clock.monotonicMs() - this.#beatMs >= heartbeatMs;
  }

  get #isSuspended(): boolean {
    return filteredOf(this.#tail)?.isSuspended === true;
  }

  #suspended(): MultiEvent | undefined {
    if (this.#sentSuspended) return undefined;
    this.#sentSuspended = true;
    return "suspended";
  }

  #marker(marker: MultiMarker): MultiEvent {
    if (marker === "heartbeat") this.#beatMs = this.#options.clock.monotonicMs();
    this.#hasBeaten = marker === "heartbeat";
    return marker;
  }

  /** Resolves to true if there is more, false if there will be no more, "late" if a heartbeat is due. */
  async #wait(): Promise<boolean | "late"> {
    const { clock, signal, heartbeatMs } = this.#options;
    this.#ready ??= this.#tail.ready();
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

/** Resolves in a later turn, when the event loop has time for more. */
const later = (clock: Clock): Promise<void> => new Promise((resolve) => workTurns(clock).wait(resolve));
