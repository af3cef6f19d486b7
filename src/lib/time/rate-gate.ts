/**
 * Lets so many through in each second and counts the rest: for log lines that a stranger can cause.
 *
 * Never: waits, reads the time by itself.
 */
export class RateGate {
  readonly #perSecond: number;
  #second = Number.NEGATIVE_INFINITY;
  #let = 0;
  #held = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** May this one pass, at `nowMs` of a clock that does not go back? */
  pass(nowMs: number): boolean {
    if (nowMs - this.#second >= 1_000) {
      this.#second = nowMs;
      this.#let = 0;
    }
    if (this.#let < this.#perSecond) {
      this.#let++;
      return true;
    }
    this.#held++;
    return false;
  }

  /** How many were held back since the last time this was asked. */
  takeHeld(): number {
    const held = this.#held;
    this.#held = 0;
    return held;
  }
}
