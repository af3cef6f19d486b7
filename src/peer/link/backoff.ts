/**
 * When to dial a lost peer again: at once after a link that had lasted, then soon, then ever more rarely. Pure.
 *
 * The first quick attempts decide what a reset meant: a refused connection says that the process is gone.
 *
 * Never: dials twice at the same distance from all nodes (half of each delay is drawn by chance).
 */
import type { Prng } from "../../lib/prng.ts";

const firstMs = 20;
const lastMs = 1_000;
/** A link that stood for so long begins anew with an attempt at once. */
const lastedMs = 500;
/** One that did not is there at least: its peer answers. */
const shortMs = 80;

export class Backoff {
  readonly #random: Pick<Prng, "float">;
  #nextMs = 0;

  constructor(random: Pick<Prng, "float">) {
    this.#random = random;
  }

  /** A link that had been open for so many milliseconds was lost. */
  lost(openMs: number): void {
    this.#nextMs = openMs >= lastedMs ? 0 : Math.min(this.#nextMs, shortMs);
  }

  /** Milliseconds until the next attempt. */
  next(): number {
    const delay = this.#nextMs;
    this.#nextMs = delay === 0 ? firstMs : Math.min(lastMs, delay * 2);
    return delay === 0 ? 0 : delay / 2 + (delay / 2) * this.#random.float();
  }
}
