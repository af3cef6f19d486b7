/**
 * Lets other work run between the pieces of a long computation. An `await` of a settled promise is not a turn of the
 * event loop: a loop of such awaits blocks like a loop without them.
 */
import { type Clock, systemClock } from "./clock.ts";

/** How long a computation may run in one turn of the event loop, in milliseconds. */
const pieceMs = 8;

/** Resolves in a later turn of the event loop. */
const nextTurn = (clock: Pick<Clock, "soon">): Promise<void> => new Promise((resolve) => clock.soon(resolve));

export class YieldPoints {
  readonly #clock: Clock;
  #sinceMs: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  /** Call it after each piece. Undefined: continue. Otherwise the promise resolves in a later turn of the event loop. */
  next(): Promise<void> | undefined {
    if (this.#clock.monotonicMs() - this.#sinceMs < pieceMs) return undefined;
    return this.#later();
  }

  async #later(): Promise<void> {
    await nextTurn(this.#clock);
    this.#sinceMs = this.#clock.monotonicMs();
  }
}
