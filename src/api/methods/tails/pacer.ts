/**
 * Flushes many tails in one turn, and spaces the turns so that flushing takes at most about a quarter of the time,
 * including the writes to the sockets. All tails of the node share one pacer, those of gRPC and those of HTTP. One write
 * costs 6 to 15 µs whatever its size. A thousand tails that are woken by each of a thousand appends per second would keep the
 * process busy with writes; paced, each write carries what was committed since the last one. An idle pacer costs nothing, and the first wake-up after a rest is served in the next turn
 * of the event loop. Tails for which the turn of the event loop is too short are flushed in the next ones.
 */
import type { Clock } from "../../../lib/time/clock.ts";
import { type WorkTurns, workTurns } from "../../../lib/time/work-turns.ts";

export interface Flushable {
  flush(): void;
}

/** Rest after a turn, as a multiple of the turn's duration. */
const restRatio = 3;
const restMsMax = 20;

const ofClock = new WeakMap<Clock, Pacer>();

/** Returns the one instance for this clock: there is one event loop. */
export function pacerOf(clock: Clock): Pacer {
  let pacer = ofClock.get(clock);
  if (pacer === undefined) {
    pacer = new Pacer(clock);
    ofClock.set(clock, pacer);
  }
  return pacer;
}

export class Pacer {
  readonly #clock: Clock;
  readonly #turns: Pick<WorkTurns, "mayBegin" | "wait">;
  #scheduled: Flushable[] = [];
  #spare: Flushable[] = [];
  #turnIsDue = false;
  #restUntilMs = 0;

  constructor(clock: Clock, turns: Pick<WorkTurns, "mayBegin" | "wait"> = workTurns(clock)) {
    this.#clock = clock;
    this.#turns = turns;
  }

  /** Calls `target.flush()` once, soon. Schedule it again only after that. */
  schedule(target: Flushable): void {
    this.#scheduled.push(target);
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    const restMs = this.#restUntilMs - this.#clock.monotonicMs();
    if (restMs <= 0) this.#clock.soon(this.#turn);
    else this.#clock.after(restMs, this.#turn);
  }

  readonly #turn = (): void => {
    this.#turnIsDue = false;
    const startedMs = this.#clock.monotonicMs();
    const due = this.#scheduled;
    this.#scheduled = this.#spare;
    this.#spare = due;
    for (const target of due) {
      if (this.#turns.mayBegin()) target.flush();
      else this.#turns.wait(() => target.flush());
    }
    due.length = 0;
    this.#restAfter(startedMs);
    // HTTP/2 sessions write what was flushed in microtasks, which is most of the work. Those run before this one.
    queueMicrotask(() => this.#restAfter(startedMs));
  };

  /** Sets the rest for the turn that began at `startedMs`. */
  #restAfter(startedMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#restUntilMs = nowMs + Math.min(restMsMax, restRatio * (nowMs - startedMs));
  }
}
