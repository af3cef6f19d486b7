/**
 * Detects that a wall clock moved against a monotonic one: it was set, or the machine was suspended.
 *
 *   leap := the difference of the clocks changed by more than a minute since the last look, or by many smaller steps
 *
 * The difference that counts as normal follows the clock at 2 % of the time that passes. So drift and slewing (0.05 % to
 * 8 %, a few seconds between two looks) are no leap, and the sum of many small steps is one.
 *
 * A clock that returns to its value without the leaps has not leapt.
 */

const leapMsMin = 60_000;
/** For so long a clock that was set decides nothing, unless other nodes confirm it. */
export const leapHoldMs = 3_600_000;
const normalRate = 0.02;
const backMsMax = 10_000;

export interface Moment {
  /** Of a clock that can be set. */
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export interface Leap {
  /** How far the wall clock moved; negative: back. */
  readonly byMs: number;
  /** When it was noticed, on the monotonic clock. */
  readonly atMs: number;
}

export class ClockLeaps {
  #last: Leap | undefined;
  #normalMs: number | undefined;
  #lookedMs = 0;
  /** The difference before the leaps of the last hour. */
  #beforeMs = 0;

  /** The last leap, unless the clock came back. */
  get last(): Leap | undefined {
    return this.#last;
  }

  /** Compares the clocks. Looks may be any time apart. */
  look({ wallMs, monotonicMs }: Moment): void {
    const differenceMs = wallMs - monotonicMs;
    const passedMs = Math.max(0, monotonicMs - this.#lookedMs);
    this.#lookedMs = monotonicMs;
    if (this.#normalMs === undefined) {
      this.#normalMs = differenceMs;
      return;
    }
    const movedMs = differenceMs - this.#normalMs;
    const slackMs = passedMs * normalRate;
    const byMs = Math.sign(movedMs) * Math.max(0, Math.abs(movedMs) - slackMs);
    const isLeap = Math.abs(byMs) > leapMsMin;
    const isRecent = this.recent(monotonicMs, leapHoldMs) !== undefined;
    if (isLeap && !isRecent) this.#beforeMs = this.#normalMs;
    this.#normalMs = isLeap ? differenceMs : differenceMs - byMs;
    if (isRecent && Math.abs(differenceMs - this.#beforeMs) <= backMsMax) this.#last = undefined;
    else if (isLeap) this.#last = { byMs: movedMs, atMs: monotonicMs };
  }

  /** The last leap, if it was noticed less than `withinMs` before. */
  recent(monotonicMs: number, withinMs: number): Leap | undefined {
    return this.#last !== undefined && monotonicMs - this.#last.atMs < withinMs ? this.#last : undefined;
  }

  /**
   * What the wall clock would show without its leaps, as long as the last one is recent. Undefined: it did not leap, or
   * it came back.
   */
  withoutLeapsMs(monotonicMs: number, withinMs: number): number | undefined {
    return this.recent(monotonicMs, withinMs) === undefined ? undefined : this.#beforeMs + monotonicMs;
  }
}
