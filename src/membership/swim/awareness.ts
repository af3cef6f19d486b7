/**
 * Lifeguard's local health score, from 0 (healthy) to `scoreMax` − 1. Missed replies raise it, and a higher score makes
 * this member wait longer before it suspects others.
 *
 * Source: Dadgar, Phillips, Currey: Lifeguard, 2018, section IV.A; memberlist's awareness.go.
 */
export class Awareness {
  #score = 0;
  readonly #scoreMax: number;

  constructor(scoreMax: number) {
    this.#scoreMax = scoreMax;
  }

  get score(): number {
    return this.#score;
  }

  apply(delta: number): void {
    this.#score = Math.min(this.#scoreMax - 1, Math.max(0, this.#score + delta));
  }
}
