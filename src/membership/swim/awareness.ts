/**
 * Lifeguard's local health: how much a member doubts itself. 0 is healthy; every missed answer makes it slower to
 * accuse others.
 *
 * Never: leaves 0 … max−1.
 */
export class Awareness {
  #score = 0;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get score(): number {
    return this.#score;
  }

  apply(delta: number): void {
    this.#score = Math.min(this.#max - 1, Math.max(0, this.#score + delta));
  }
}
