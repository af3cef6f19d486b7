/**
 * A Lamport clock: orders what happened in a cluster without a common time.
 *
 * Never: jumps by more than `leapMax` because of what came unasked, so that one forged time cannot silence the honest;
 * beyond `lamportHonestMax`, because of whatever.
 */

import { lamportPlausibleMax } from "./serf-messages.ts";

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

  /** As witness, however far ahead: the clock of a member whom we asked. Who is far behind would stay so for ever. */
  witnessTrusted(seen: number): void {
    if (seen <= lamportPlausibleMax) this.#time = Math.max(this.#time, seen + 1);
    else this.witness(seen);
  }
}
