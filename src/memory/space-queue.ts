/**
 * Callers that wait until memory is free. Small requests have a queue of their own, so that they do not wait behind large
 * ones; within a queue the order of arrival holds.
 */
import type { Clock } from "../lib/time/clock.ts";

/** Callers that are woken in one turn of the event loop. */
const wokenPerTurn = 64;

interface Waiter {
  readonly bytes: number;
  readonly wake: () => void;
}

export interface SpaceQueueOptions {
  readonly clock: Clock;
  /** Requests up to this size are small, bytes. */
  readonly smallBytes: number;
  /** True if a new share of `bytes` fits. */
  readonly fits: (bytes: number) => boolean;
  /** True if large requests must wait for a garbage collection. */
  readonly needsCollection: () => boolean;
}

export class SpaceQueue {
  readonly #options: SpaceQueueOptions;
  readonly #small = new Set<Waiter>();
  readonly #large = new Set<Waiter>();
  #isWakeDue = false;

  constructor(options: SpaceQueueOptions) {
    this.#options = options;
  }

  /** Calls `wake` once when `bytes` fit. The returned function cancels it. */
  wait(bytes: number, wake: () => void): () => void {
    const waiter = { bytes, wake };
    const queue = bytes <= this.#options.smallBytes ? this.#small : this.#large;
    queue.add(waiter);
    this.#wakeSoon();
    return () => queue.delete(waiter);
  }

  /** Memory was released. */
  onSpace(): void {
    if (this.#small.size > 0 || this.#large.size > 0) this.#wakeSoon();
  }

  #wakeSoon(): void {
    if (this.#isWakeDue) return;
    this.#isWakeDue = true;
    this.#options.clock.soon(() => {
      this.#isWakeDue = false;
      this.#wake();
    });
  }

  #wake(): void {
    const { smallBytes, fits, needsCollection } = this.#options;
    let woken = 0;
    for (const queue of [this.#small, this.#large]) {
      for (const waiter of queue) {
        if (waiter.bytes > smallBytes && needsCollection()) break;
        if (!fits(waiter.bytes)) break;
        if (woken++ === wokenPerTurn) {
          this.#wakeSoon();
          return;
        }
        queue.delete(waiter);
        waiter.wake();
      }
    }
  }
}
