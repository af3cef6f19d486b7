/**
 * A query under way, as something to loop over: `for await (const answer of membership.query(…))`. It ends when the
 * query's time is up; leaving the loop ends it at once.
 *
 * Invariant: holds at most two answers a member, one of them an acknowledgement.
 *
 * Never: asks twice.
 */
import type { QueryResponse } from "./serf/queries.ts";

/** Starts the query; answers how to stop it. */
export type StartQuery = (answer: (answer: QueryResponse) => void, done: () => void) => () => void;

export class QueryResponses implements AsyncIterableIterator<QueryResponse> {
  readonly #waiting: QueryResponse[] = [];
  #wake: (() => void) | undefined;
  #over = false;
  readonly #stop: () => void;

  constructor(start: StartQuery) {
    this.#stop = start(
      (answer) => {
        this.#waiting.push(answer);
        this.#wake?.();
      },
      () => {
        this.#over = true;
        this.#wake?.();
      },
    );
  }

  async next(): Promise<IteratorResult<QueryResponse>> {
    while (this.#waiting.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const value = this.#waiting.shift();
    return value === undefined ? { done: true, value: undefined } : { done: false, value };
  }

  async return(): Promise<IteratorResult<QueryResponse>> {
    this.stop();
    return { done: true, value: undefined };
  }

  /** Ends the query now; answers that are here already can still be read. */
  stop(): void {
    if (!this.#over) this.#stop();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }
}
