/**
 * A Lamport clock: orders what happened in a cluster without a common time.
 *
 * Never: jumps by more than `leapMax`, whatever a message says, so that one forged time cannot silence the honest.
 */

const leapMax = 2 ** 32;

export class LamportClock {
  #time: number;

  constructor(time = 0) {
    this.#time = time;
  }

  get time(): number {
    return this.#time;
  }

  /** The time of something that happens now; later ones are greater. */
  increment(): number {
    return ++this.#time;
  }

  /** Takes note of another's time; false when it is too far ahead to be believed. */
  witness(seen: number): boolean {
    if (seen - this.#time > leapMax) return false;
    if (seen >= this.#time) this.#time = seen + 1;
    return true;
  }
}
