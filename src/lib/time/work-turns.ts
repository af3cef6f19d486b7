/**
 * Divides the time of the event loop. A limit per request or connection does not help if hundreds have work in the same
 * turn. So each piece of work asks here first, and waits in a queue if this turn is full.
 *
 *   piece   what may run at once: a chunk of a connection, a message to decode, a response to create
 *   order   first in, first out
 *
 * A turn runs pieces until `turnMs` have passed since its first piece. Then other work runs. A running piece is not
 * interrupted.
 */
import type { Clock } from "./clock.ts";

/** In one turn, pieces start for so long. */
const turnMs = 8;
/** Callbacks of one turn that each run a piece. Microtasks run between them, so the time of a piece is measured. */
const atOnceMax = 32;

const ofClock = new WeakMap<Clock, WorkTurns>();

/** Returns the one instance for this clock: there is one event loop. */
export function workTurns(clock: Clock): WorkTurns {
  let turns = ofClock.get(clock);
  if (turns === undefined) {
    turns = new WorkTurns(clock);
    ofClock.set(clock, turns);
  }
  return turns;
}

export class WorkTurns {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  /** Pieces of #waiting before this index have run. */
  #next = 0;
  /** Callbacks that are due to run a piece. */
  #armed = 0;
  /** Start of the first piece of this turn; undefined if there was none. */
  #sinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: a piece may begin now. Otherwise the promise resolves when it may. */
  next(): Promise<void> | undefined {
    return this.mayBegin() ? undefined : new Promise((resolve) => this.wait(resolve));
  }

  /** Returns true if a piece may begin now. Otherwise use wait(). */
  mayBegin(): boolean {
    return this.#waiting.length === 0 && this.#hasRoom();
  }

  /** Runs `piece` in a later turn, after all pieces that wait already. */
  wait(piece: () => void): void {
    this.#waiting.push(piece);
    this.#arm();
  }

  #hasRoom(): boolean {
    if (this.#sinceMs !== undefined) return this.#clock.monotonicMs() - this.#sinceMs < turnMs;
    this.#sinceMs = this.#clock.monotonicMs();
    this.#clock.soon(this.#turnOver);
    return true;
  }

  readonly #turnOver = (): void => {
    this.#sinceMs = undefined;
  };

  /** The first of the callbacks begins a turn; the others continue it. */
  #arm(): void {
    if (this.#armed > 0) return;
    const count = Math.min(this.#waiting.length - this.#next, atOnceMax);
    if (count === 0) return;
    this.#armed = count;
    this.#clock.soon(this.#first);
    for (let left = count - 1; left > 0; left--) this.#clock.soon(this.#step);
  }

  readonly #first = (): void => {
    this.#sinceMs = this.#clock.monotonicMs();
    this.#clock.soon(this.#turnOver);
    this.#step();
  };

  readonly #step = (): void => {
    this.#armed--;
    try {
      if (this.#hasRoom()) this.#waiting[this.#next++]?.();
    } finally {
      if (this.#next >= this.#waiting.length || this.#next > 1024) {
        this.#waiting = this.#waiting.slice(this.#next);
        this.#next = 0;
      }
      this.#arm();
    }
  };
}
