/**
 * Numbers the turns of the event loop, so that the work of many callbacks in one turn can be limited: a socket delivers
 * up to 32 chunks of 64 KiB before anything else runs.
 */
import type { Clock } from "./clock.ts";

export class TurnCounter {
  readonly #clock: Pick<Clock, "soon">;
  #number = 0;
  #counting = false;

  constructor(clock: Pick<Clock, "soon">) {
    this.#clock = clock;
  }

  /** The number of this turn. Costs one callback in each turn that reads it. */
  get number(): number {
    if (!this.#counting) {
      this.#counting = true;
      this.#clock.soon(this.#next);
    }
    return this.#number;
  }

  readonly #next = (): void => {
    this.#counting = false;
    this.#number++;
  };
}
