/**
 * The responses to a running query, for `for await (const response of membership.query(…))`. The loop ends when the query
 * times out. Leaving the loop stops the query.
 *
 * Invariant: buffers at most two responses per member, one of them an acknowledgment.
 */
import type { QueryListener, QueryResponse } from "./serf/queries.ts";

/** Starts the query. Returns a function that stops it. */
export type StartQuery = (listener: QueryListener) => () => void;

export class QueryResponses implements AsyncIterableIterator<QueryResponse> {
  readonly #buffered: QueryResponse[] = [];
  #wake: (() => void) | undefined;
  #done = false;
  readonly #stop: () => void;

  constructor(start: StartQuery) {
    this.#stop = start({
      onResponse: (response) => {
        this.#buffered.push(response);
        this.#wake?.();
      },
      onDone: () => {
        this.#done = true;
        this.#wake?.();
      },
    });
  }

  async next(): Promise<IteratorResult<QueryResponse>> {
    while (this.#buffered.length === 0 && !this.#done) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const value = this.#buffered.shift();
    return value === undefined ? { done: true, value: undefined } : { done: false, value };
  }

  async return(): Promise<IteratorResult<QueryResponse>> {
    this.stop();
    return { done: true, value: undefined };
  }

  /** Stops the query. Responses that have arrived can still be read. */
  stop(): void {
    if (!this.#done) this.#stop();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }
}
