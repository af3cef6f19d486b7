/** Wakes all waiters of one event. A waiter costs one closure, and is called at most once. */
export class Broadcast {
  #waiting = new Set<() => void>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Calls back at the next notify(), once. The returned function cancels that. */
  wait(wake: () => void): () => void {
    const entry = (): void => wake();
    this.#waiting.add(entry);
    return () => this.#waiting.delete(entry);
  }

  /** Wakes all current waiters. A waiter that is added by a callback waits for the next notify(). */
  notify(): void {
    if (this.#waiting.size === 0) return;
    const woken = this.#waiting;
    this.#waiting = new Set();
    for (const wake of woken) wake();
  }
}
