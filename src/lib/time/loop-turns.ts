/**
 * Numbers the turns of the event loop, so that work that comes in many callbacks of one turn can be limited: a socket
 * hands out up to 32 chunks of 64 KiB before anything else runs.
 */
import type { Clock } from "./clock.ts";

export class LoopTurns {
  readonly #clock: Pick<Clock, "soon">;
  #number = 0;
  #counting = false;

  constructor(clock: Pick<Clock, "soon">) {
    this.#clock = clock;
  }

  /** The number of this turn. Costs one callback a turn in which it is asked for. */
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
