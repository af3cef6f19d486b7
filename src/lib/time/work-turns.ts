/**
 * Shares out the time of the event loop. A limit for one request or one connection does not help where hundreds have
 * work in the same turn: each piece of work asks here first, and what has no room in this turn waits in a queue.
 *
 *   a piece   as much as may run at once: a chunk of a connection, a message to be decoded, an answer to be made
 *   in order  a piece never overtakes one that waits
 *
 * A turn takes pieces until `turnMs` have passed since its first, then other work has its turn. A piece that is under
 * way is not interrupted.
 *
 * Never: knows what a piece does.
 */
import type { Clock } from "./clock.ts";

/** How long pieces may begin in one turn. */
const turnMs = 8;
/** Callbacks of one turn that each run a piece: microtasks run between them, so the time a piece took is seen. */
const atOnceMax = 32;

const ofClock = new WeakMap<Clock, WorkTurns>();

/** Those of all that work by this clock: there is one event loop. */
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
  /** Of #waiting, those before it have run. */
  #next = 0;
  /** Callbacks that are due to run a piece. */
  #armed = 0;
  /** When the first piece of this turn began; undefined: there was none. */
  #sinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: a piece may begin now. Else it resolves when it may. */
  next(): Promise<void> | undefined {
    return this.mayBegin() ? undefined : new Promise((resolve) => this.wait(resolve));
  }

  /** A piece may begin now. If not, it has to wait(). */
  mayBegin(): boolean {
    return this.#waiting.length === 0 && this.#hasRoom();
  }

  /** Runs `piece` in a later turn, when all that waited before have run. */
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

  /** The first of the callbacks begins a turn; the others go on in it. */
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
