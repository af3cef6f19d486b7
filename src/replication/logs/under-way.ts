/**
 * What has begun and not ended, so that one can wait until all of it has ended. A wait costs the same with any number under way:
 * what begins between two waits is counted together, as a batch.
 */

interface Batch {
  open: number;
  readonly over: Promise<void>;
  readonly end: () => void;
}

export class UnderWay {
  /** What began after the last wait. Undefined: nothing did. */
  #newest: Batch | undefined;
  /** Resolves once all earlier batches have ended. */
  #earlier: Promise<void> = Promise.resolve();

  /** Something begins. Returns the function that ends it, which is called once. */
  began(): () => void {
    const batch = this.#newest ?? newBatch();
    this.#newest = batch;
    batch.open++;
    return () => {
      if (--batch.open > 0) return;
      // Later ones need another promise.
      if (this.#newest === batch) this.#newest = undefined;
      batch.end();
    };
  }

  /** Resolves once all that is under way now has ended. */
  settled(): Promise<void> {
    const batch = this.#newest;
    if (batch === undefined) return this.#earlier;
    this.#newest = undefined;
    const { over } = batch;
    const earlier = this.#earlier;
    this.#earlier = over.then(() => earlier);
    return this.#earlier;
  }
}

function newBatch(): Batch {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: 0, over: promise, end: resolve };
}
