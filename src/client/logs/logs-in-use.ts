/**
 * The logs of a client that have something open or pending, so that closing the client can close them. An application may
 * make a log for each call, so idle ones are dropped: they register again when they are used.
 */

export interface UsableLog {
  /** Nothing is open or pending. */
  readonly isIdle: boolean;
}

/** Idle logs are looked for when there are more than this. */
const keptMin = 64;

export class LogsInUse<Log extends UsableLog> implements Iterable<Log> {
  readonly #logs = new Set<Log>();
  #sweepAbove = keptMin;

  get size(): number {
    return this.#logs.size;
  }

  /** The log is about to be used. */
  add(log: Log): void {
    if (this.#logs.size >= this.#sweepAbove && !this.#logs.has(log)) this.#sweep();
    this.#logs.add(log);
  }

  [Symbol.iterator](): Iterator<Log> {
    return [...this.#logs].values();
  }

  /** The next sweep is after the size has doubled, so its cost for each log is constant. */
  #sweep(): void {
    for (const log of this.#logs) if (log.isIdle) this.#logs.delete(log);
    this.#sweepAbove = Math.max(keptMin, 2 * this.#logs.size);
  }
}
