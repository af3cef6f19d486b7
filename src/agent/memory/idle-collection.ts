/**
 * Collects garbage when a node becomes idle. V8 collects when memory is allocated. So an idle node keeps what its start or its last
 * load left: a large young generation, the pages of it that V8 has ready for the next, and unused Buffers. That is 15 to 80 MB.
 *
 * A collection takes 12 ms after the start, and 32 ms after a load that left 35 MB of garbage. A larger heap is left to V8, because a
 * collection would block the event loop for long.
 */
import { getHeapStatistics } from "node:v8";
import { type Clock, systemClock, type Timer } from "../../lib/time/clock.ts";
import { collectGarbage } from "./collect-garbage.ts";

const MiB = 2 ** 20;

/** A node is idle if its event loop was busy for less than `idleBelow` of so many milliseconds. */
const intervalMs = 5_000;
const idleBelow = 0.05;
/** The least growth since the last collection that makes another one worthwhile. */
const growthBytesMin = 8 * MiB;
/** A heap that uses more is not collected here. */
const usedBytesMax = 96 * MiB;

export interface HeapSize {
  /** Memory that V8 holds, with Buffers outside of its heap. */
  readonly heldBytes: number;
  /** The part of the heap that has objects, also those that nothing refers to. */
  readonly usedBytes: number;
}

export interface IdleCollectionOptions {
  readonly clock?: Clock;
  /** Milliseconds that the event loop was busy since an arbitrary start. Default: of this thread. */
  readonly busyMs?: () => number;
  /** Default: V8's statistics. */
  readonly heap?: () => HeapSize;
  /** Default: V8's gc() and malloc_trim. */
  readonly collect?: () => void;
}

export class IdleCollection {
  readonly #clock: Clock;
  readonly #busyMs: () => number;
  readonly #heap: () => HeapSize;
  readonly #collect: () => void;
  #timer: Timer;
  /** What was held after the last collection. */
  #heldBytes = 0;
  #before: { readonly nowMs: number; readonly busyMs: number };

  constructor({ clock = systemClock, busyMs, heap, collect }: IdleCollectionOptions = {}) {
    this.#clock = clock;
    this.#busyMs = busyMs ?? (() => performance.eventLoopUtilization().active);
    this.#heap = heap ?? heapSize;
    this.#collect = collect ?? collectGarbage;
    this.#before = this.#read();
    this.#timer = clock.after(intervalMs, this.#check);
  }

  readonly #check = (): void => {
    const before = this.#before;
    this.#before = this.#read();
    const passedMs = this.#before.nowMs - before.nowMs;
    const isIdle = this.#before.busyMs - before.busyMs < idleBelow * passedMs;
    const { heldBytes, usedBytes } = this.#heap();
    if (isIdle && usedBytes <= usedBytesMax && heldBytes - this.#heldBytes >= growthBytesMin) {
      this.#collect();
      this.#heldBytes = this.#heap().heldBytes;
      this.#before = this.#read();
    }
    this.#timer = this.#clock.after(intervalMs, this.#check);
  };

  #read() {
    return { nowMs: this.#clock.monotonicMs(), busyMs: this.#busyMs() };
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
  }
}

function heapSize(): HeapSize {
  const { total_heap_size, used_heap_size, external_memory } = getHeapStatistics();
  return { heldBytes: total_heap_size + external_memory, usedBytes: used_heap_size };
}
