/**
 * A Lamport clock, which orders events in a cluster without a common time. Forged times are limited: a time from
 * gossip moves the clock by at most 2^32, and the reply to our own exchange moves it to at most `lamportPlausibleMax`.
 */

import { lamportPlausibleMax } from "./serf-messages.ts";

const leapMax = 2 ** 32;

export class LamportClock {
  #time: number;

  constructor(time = 0) {
    this.#time = time;
  }

  /** The time of the next event. */
  get time(): number {
    return this.#time;
  }

  /** Returns the time of an event that happens now. Later ones are greater. */
  increment(): number {
    return ++this.#time;
  }

  /** Moves the clock past a time from another member. Returns false if that is too far ahead. */
  witness(seen: number): boolean {
    if (seen - this.#time > leapMax) return false;
    if (seen >= this.#time) this.#time = seen + 1;
    return true;
  }

  /**
   * As witness, with a larger limit, for the reply to our own exchange. Otherwise a new member would stay behind a
   * cluster whose clocks were driven far ahead, and other members would ignore its messages.
   */
  witnessReply(seen: number): void {
    if (seen <= lamportPlausibleMax) this.#time = Math.max(this.#time, seen + 1);
    else this.witness(seen);
  }
}
