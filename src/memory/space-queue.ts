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
  /** True if a new share of `bytes` fits when others take `more` − `bytes` before it. */
  readonly fits: (more: number, bytes: number) => boolean;
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
    return () => {
      // It may be what those behind it waited for.
      if (queue.delete(waiter)) this.onSpace();
    };
  }

  /** Memory was released. */
  onSpace(): void {
    if (this.#small.size > 0 || this.#large.size > 0) this.#wakeSoon();
  }

  #wakeSoon(): void {
    if (this.#isWakeDue) return;
    this.#isWakeDue = true;
    this.#options.clock.soon(() => {
      let hasWoken = true;
      try {
        hasWoken = this.#wake();
      } finally {
        this.#isWakeDue = false;
        // In the next turn they have taken their space, or less.
        if (hasWoken) this.onSpace();
      }
    });
  }

  /**
   * Wakes only as many as fit together: one that finds no space would lose its place in the queue. Returns whether it woke
   * any.
   */
  #wake(): boolean {
    const { smallBytes, fits, needsCollection } = this.#options;
    let woken = 0;
    let promised = 0;
    for (const queue of [this.#small, this.#large]) {
      for (const waiter of queue) {
        if (waiter.bytes > smallBytes && needsCollection()) break;
        if (!fits(promised + waiter.bytes, waiter.bytes)) break;
        if (woken++ === wokenPerTurn) return true;
        queue.delete(waiter);
        promised += waiter.bytes;
        waiter.wake();
      }
    }
    return woken > 0;
  }
}
