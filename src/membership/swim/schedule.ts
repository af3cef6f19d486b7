/**
 * The core's timers: a heap of deadlines on core time.
 *
 * Core time differs from machine time after a stall. A tick that is much later than planned shows that this process or
 * the machine stood still, and replies may wait unread in its sockets. Then core time stops `graceMs` before the planned
 * deadline, so that the replies are read first and no member is suspected because of the stall. Two consecutive ticks
 * are never delayed, so a process that is always late still makes progress.
 */
import type { Timer } from "../../lib/time/clock.ts";

interface Entry {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const graceMs = 50;

export class Schedule {
  #heap: Entry[] = [];
  #orders = 0;
  /** Core time, and machine time at the same moment. */
  #coreMs: number;
  #machineMs: number;
  #delayed = false;
  readonly #stallMs: number;
  /** Number of stalls found. */
  stalls = 0;

  constructor(machineMs: number, stallMs: number) {
    this.#coreMs = machineMs;
    this.#machineMs = machineMs;
    this.#stallMs = stallMs;
  }

  get nowMs(): number {
    return this.#coreMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry: Entry = { atMs: this.#coreMs + Math.max(0, delayMs), order: this.#orders++, run };
    this.#push(entry);
    return {
      cancel: () => {
        entry.run = undefined;
      },
    };
  }

  /** Machine time of the next deadline, or undefined if there is none. */
  dueMs(): number | undefined {
    this.#dropCancelled();
    const next = this.#heap[0];
    return next === undefined ? undefined : this.#machineMs + Math.max(0, next.atMs - this.#coreMs);
  }

  /** Advances to this machine time, at most to the next deadline, without running a timer. */
  observe(machineMs: number): void {
    const passed = Math.max(0, machineMs - this.#machineMs);
    this.#dropCancelled();
    const next = this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
    // The tick that comes next accounts for the time beyond the deadline.
    const step = Math.min(passed, Math.max(0, next - this.#coreMs));
    this.#coreMs += step;
    this.#machineMs += step;
  }

  /** Runs the timers that are due at this machine time, in order. */
  tick(machineMs: number): void {
    this.#dropCancelled();
    const next = this.#heap[0];
    const passed = Math.max(0, machineMs - this.#machineMs);
    const late = next === undefined ? 0 : this.#coreMs + passed - next.atMs;
    if (late > this.#stallMs && !this.#delayed && next !== undefined) {
      this.#delayed = true;
      this.stalls++;
      this.#coreMs = Math.max(this.#coreMs, next.atMs - graceMs);
      this.#machineMs = machineMs;
      return;
    }
    // A second consecutive late tick runs only the planned deadline. The rest of its time was a stall, too.
    const until =
      this.#delayed && next !== undefined ? next.atMs + Math.min(late, graceMs) : this.#coreMs + passed;
    this.#delayed = late > this.#stallMs;
    this.#machineMs = machineMs;
    const target = Math.max(this.#coreMs, until);
    for (let entry = this.#due(target); entry !== undefined; entry = this.#due(target)) {
      this.#coreMs = Math.max(this.#coreMs, entry.atMs);
      entry.run?.();
    }
    this.#coreMs = target;
  }

  #due(coreMs: number): Entry | undefined {
    this.#dropCancelled();
    const first = this.#heap[0];
    return first !== undefined && first.atMs <= coreMs ? this.#pop() : undefined;
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && this.#heap[0]?.run === undefined) this.#pop();
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    heap.push(entry);
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, heap[parent] as Entry)) break;
      heap[at] = heap[parent] as Entry;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const first = heap[0] as Entry;
    const moved = heap.pop() as Entry;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!before(heap[child] as Entry, moved)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = moved;
    return first;
  }
}

function before(one: Entry, other: Entry): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
