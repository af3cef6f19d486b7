/**
 * The pacer: lets many tails flush in one turn, and spaces the turns so that flushing takes about a quarter of the
 * time at most, the writes to their sockets included. A single write costs 6 to 15 µs whatever it carries, so a thousand
 * tails woken by each of a thousand appends a second would never come to rest; paced, each write carries what gathered
 * since the last.
 * An idle pacer costs nothing, and the first wake after a rest is served in the next turn of the event loop.
 *
 * Never: knows what a flush does.
 */
import type { Clock } from "../../lib/time/clock.ts";

export interface Flushable {
  flush(): void;
}

/** Rest after a turn: so many times what it took, but never longer than this. */
const restShare = 3;
const pauseMsMax = 20;

export class Pacer {
  readonly #clock: Clock;
  #waiting: Flushable[] = [];
  #spare: Flushable[] = [];
  #scheduled = false;
  #restUntilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `one.flush()` will be called once, soon. Mark again only after that. */
  mark(one: Flushable): void {
    this.#waiting.push(one);
    if (this.#scheduled) return;
    this.#scheduled = true;
    const pauseMs = this.#restUntilMs - this.#clock.monotonicMs();
    if (pauseMs <= 0) this.#clock.soon(this.#turn);
    else this.#clock.after(pauseMs, this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    const started = this.#clock.monotonicMs();
    const due = this.#waiting;
    this.#waiting = this.#spare;
    this.#spare = due;
    for (const one of due) one.flush();
    due.length = 0;
    this.#rest(started);
    // Sessions write what was flushed in microtasks of their own, most of the work: those are before this one.
    queueMicrotask(() => this.#rest(started));
  };

  /** Rests for the turn that began then. */
  #rest(started: number): void {
    const ended = this.#clock.monotonicMs();
    this.#restUntilMs = ended + Math.min(pauseMsMax, restShare * (ended - started));
  }
}
