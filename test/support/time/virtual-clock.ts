/**
 * Virtual time for several nodes: a queue of events ordered by time and then by creation. Each node has its own clock,
 * which can run fast or slow and can pause.
 */
import type { Clock, Timer } from "../../../src/lib/time/clock.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  canceled: boolean;
}

export class VirtualTime {
  now = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  /** Runs `run` once, `delayMs` from now. */
  after(delayMs: number, run: () => void): Timer {
    return this.at(this.now + delayMs, run);
  }

  /** Runs `run` once at a time, or now if that has passed. */
  at(atMs: number, run: () => void): Timer {
    const event: Event = { at: Math.max(this.now, atMs), order: this.#order++, run, canceled: false };
    this.#push(event);
    return {
      cancel() {
        event.canceled = true;
      },
    };
  }

  /** Runs the next event. Returns false if there is none. */
  step(): boolean {
    for (;;) {
      const event = this.#pop();
      if (event === undefined) return false;
      if (event.canceled) continue;
      this.now = event.at;
      event.run();
      return true;
    }
  }

  /** The time of the next event. */
  get next(): number | undefined {
    return this.#heap[0]?.at;
  }

  /** Creates the clock of a node. `rate`: speed of its monotonic time. `offsetMs`: error of its wall clock. */
  clock(options: { rate?: number; offsetMs?: number; startMs?: number } = {}): VirtualClock {
    return new VirtualClock(
      this,
      options.rate ?? 1,
      options.offsetMs ?? 0,
      options.startMs ?? 1_700_000_000_000,
    );
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export class VirtualClock implements Clock {
  readonly #time: VirtualTime;
  readonly #startMs: number;
  rate: number;
  offsetMs: number;
  #alive = true;
  #pausedUntil = 0;

  constructor(time: VirtualTime, rate: number, offsetMs: number, startMs: number) {
    this.#time = time;
    this.rate = rate;
    this.offsetMs = offsetMs;
    this.#startMs = startMs;
  }

  wallMs(): number {
    return Math.floor(this.#startMs + this.offsetMs + this.#time.now);
  }

  monotonicMs(): number {
    return this.#time.now * this.rate;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#time.after(delayMs / this.rate, () => this.#run(callback));
  }

  soon(callback: () => void): void {
    this.#time.after(0, () => this.#run(callback));
  }

  /** Pauses the process. Everything that is due meanwhile happens after the pause. */
  pause(durationMs: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#time.now + durationMs);
  }

  get paused(): boolean {
    return this.#pausedUntil > this.#time.now;
  }

  /** Ends the process. None of its timers runs any more. */
  stop(): void {
    this.#alive = false;
  }

  /** Runs a callback of this process now, or after the pause. */
  #run(callback: () => void): void {
    if (!this.#alive) return;
    if (this.paused) this.#time.after(this.#pausedUntil - this.#time.now, () => this.#run(callback));
    else callback();
  }
}
