/**
 * Lets other work go on between the pieces of a long one. An `await` of what is settled already is no turn of the event
 * loop: a loop of such awaits holds it like a loop without.
 */
import type { Clock } from "../lib/clock.ts";

/** How long a piece may be before the rest waits for another turn. */
const pieceMs = 8;

export class Turns {
  readonly #clock: Clock;
  #sinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  /** Asked after each piece. Undefined: go on. Else it resolves in a later turn of the event loop. */
  next(): Promise<void> | undefined {
    if (this.#clock.monotonicMs() - this.#sinceMs < pieceMs) return undefined;
    return new Promise((resolve) =>
      this.#clock.soon(() => {
        this.#sinceMs = this.#clock.monotonicMs();
        resolve();
      }),
    );
  }
}
