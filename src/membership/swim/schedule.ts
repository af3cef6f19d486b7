/**
 * What is to be done later: a heap of deadlines on the core's own time.
 *
 * That time is not quite the machine's. When a tick comes much later than it was planned, this process (or the whole
 * machine) stood still, and the answers it waited for may lie unread in its sockets. Then the core's clock stops just
 * short of the planned moment for a short grace, and what was missed does not count against anybody. Two ticks in a
 * row are never held back, so an always late process still goes on.
 *
 * Never: reads a clock, sets a timer.
 */

export interface Alarm {
  cancel(): void;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const graceMs = 50;

export class Schedule {
  #heap: Entry[] = [];
  #orders = 0;
  /** The core's time, and the machine's at the same moment. */
  #coreMs: number;
  #machineMs: number;
  #held = false;
  readonly #stallMs: number;
  /** How often the process was found to have stood still. */
  stalls = 0;

  constructor(machineMs: number, stallMs: number) {
    this.#coreMs = machineMs;
    this.#machineMs = machineMs;
    this.#stallMs = stallMs;
  }

  get nowMs(): number {
    return this.#coreMs;
  }

  after(delayMs: number, run: () => void): Alarm {
    const entry: Entry = { atMs: this.#coreMs + Math.max(0, delayMs), order: this.#orders++, run };
    this.#push(entry);
    return {
      cancel: () => {
        entry.run = undefined;
      },
    };
  }

  /** Machine time of the next deadline; undefined when there is none. */
  dueMs(): number | undefined {
    this.#dropCancelled();
    const next = this.#heap[0];
    return next === undefined ? undefined : this.#machineMs + Math.max(0, next.atMs - this.#coreMs);
  }

  /** Goes on to this machine time without running anything: a message came in between two deadlines. */
  observe(machineMs: number): void {
    const passed = Math.max(0, machineMs - this.#machineMs);
    this.#dropCancelled();
    const next = this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
    // Time beyond the next deadline belongs to the tick that is about to come.
    const step = Math.min(passed, Math.max(0, next - this.#coreMs));
    this.#coreMs += step;
    this.#machineMs += step;
  }

  /** Runs everything that is due at this machine time, in order. */
  tick(machineMs: number): void {
    this.#dropCancelled();
    const next = this.#heap[0];
    const passed = Math.max(0, machineMs - this.#machineMs);
    const late = next === undefined ? 0 : this.#coreMs + passed - next.atMs;
    if (late > this.#stallMs && !this.#held && next !== undefined) {
      this.#held = true;
      this.stalls++;
      this.#coreMs = Math.max(this.#coreMs, next.atMs - graceMs);
      this.#machineMs = machineMs;
      return;
    }
    // Of a second late tick in a row only what it was planned for is run; the rest was slept through as well.
    const until =
      this.#held && next !== undefined ? next.atMs + Math.min(late, graceMs) : this.#coreMs + passed;
    this.#held = late > this.#stallMs;
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
