/**
 * The rate of a copy that is made in steps, between which other work has its turn. If the turns of others are long, one step in each
 * is less than the rate: then several steps are made in one turn, for a few milliseconds.
 */
import type { Clock } from "../../lib/time/clock.ts";

/** Steps go on in one turn for so long. One more step can begin then. */
const turnMs = 4;
/** More of a delay is not made up for. */
const behindMsMax = 100;

export class CopyRate {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #msPerByte: number;
  /** When the next step is due. */
  #dueMs: number;
  #turnBeganMs: number;

  /** `bytesPerSecond` is above 0 and may be infinite. */
  constructor(clock: Pick<Clock, "monotonicMs">, bytesPerSecond: number) {
    this.#clock = clock;
    this.#msPerByte = 1000 / bytesPerSecond;
    this.#turnBeganMs = clock.monotonicMs();
    this.#dueMs = this.#turnBeganMs;
  }

  /** A step of so many bytes was made. Returns how long to wait, in ms; undefined if the next step may be made in this turn. */
  pauseAfter(bytes: number): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    this.#dueMs = Math.max(this.#dueMs + bytes * this.#msPerByte, nowMs - behindMsMax);
    if (this.#dueMs < nowMs && nowMs - this.#turnBeganMs < turnMs) return undefined;
    return Math.max(0, this.#dueMs - nowMs);
  }

  /** Another turn begins. */
  resumed(): void {
    this.#turnBeganMs = this.#clock.monotonicMs();
  }
}
