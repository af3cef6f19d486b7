/**
 * Lets other work run between the pieces of a long computation. An `await` of a promise that is settled already is not a
 * turn of the event loop: a loop of such awaits holds it like a loop without.
 */
import { type Clock, systemClock } from "./clock.ts";

/** How long a piece may be before the rest waits for another turn. */
const pieceMs = 8;

/** Resolves in a later turn of the event loop. */
const nextTurn = (clock: Pick<Clock, "soon">): Promise<void> => new Promise((resolve) => clock.soon(resolve));

export class Turns {
  readonly #clock: Clock;
  #sinceMs: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  /** Asked after each piece. Undefined: go on. Otherwise it resolves in a later turn of the event loop. */
  next(): Promise<void> | undefined {
    if (this.#clock.monotonicMs() - this.#sinceMs < pieceMs) return undefined;
    return this.#later();
  }

  async #later(): Promise<void> {
    await nextTurn(this.#clock);
    this.#sinceMs = this.#clock.monotonicMs();
  }
}
