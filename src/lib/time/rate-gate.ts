/** Limits events to a number per second and counts the dropped ones: for log lines that any client can cause. */
export class RateGate {
  readonly #perSecond: number;
  #second = Number.NEGATIVE_INFINITY;
  #let = 0;
  #dropped = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Returns true if an event at `nowMs` (monotonic) is within the limit. */
  pass(nowMs: number): boolean {
    if (nowMs - this.#second >= 1_000) {
      this.#second = nowMs;
      this.#let = 0;
    }
    if (this.#let < this.#perSecond) {
      this.#let++;
      return true;
    }
    this.#dropped++;
    return false;
  }

  /** Returns the number of events dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }
}
