/**
 * Waking all who wait for the same thing. Whoever waits costs one closure until it happens; nobody polls.
 *
 * Never: loses a waiter, keeps one that was woken.
 */
export class Broadcast {
  #waiting = new Set<() => void>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Calls back at the next notify(), once. The answer takes the wish back. */
  wait(wake: () => void): () => void {
    const entry = (): void => wake();
    this.#waiting.add(entry);
    return () => this.#waiting.delete(entry);
  }

  /** Wakes all that wait now; those who wait again from inside are for the next time. */
  notify(): void {
    if (this.#waiting.size === 0) return;
    const woken = this.#waiting;
    this.#waiting = new Set();
    for (const wake of woken) wake();
  }
}
