/**
 * Decides when a lost peer is dialed again. Pure.
 *
 * The first attempt is immediate, then the delay doubles from 20 ms to 1 s. The quick first attempts show what a reset
 * meant: a refused connection means that the process has ended. Half of each delay is random, so that nodes do not dial
 * at the same time.
 */
import type { Prng } from "../../lib/prng.ts";

const firstMs = 20;
const lastMs = 1_000;
/** After a connection that stayed open this long, the next attempt is immediate. */
const stableMs = 500;
/** The limit of the next delay after a shorter one: the peer is running, because it responded. */
const shortMs = 80;

export class Backoff {
  readonly #random: Pick<Prng, "float">;
  #nextMs = 0;

  constructor(random: Pick<Prng, "float">) {
    this.#random = random;
  }

  /** Notes that a connection was lost after it had been open for `openMs`. */
  connectionLost(openMs: number): void {
    this.#nextMs = openMs >= stableMs ? 0 : Math.min(this.#nextMs, shortMs);
  }

  /** Returns the milliseconds until the next attempt. */
  next(): number {
    const delay = this.#nextMs;
    this.#nextMs = delay === 0 ? firstMs : Math.min(lastMs, delay * 2);
    return delay === 0 ? 0 : delay / 2 + (delay / 2) * this.#random.float();
  }
}
