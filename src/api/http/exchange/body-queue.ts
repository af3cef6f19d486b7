/**
 * The body of a request: the connection pushes chunks as they arrive, one reader takes them with `for await`. While the
 * reader is behind, the connection is paused, so the queue stays small.
 */

import { type MemoryBudget, type MemoryShare, stalledFault } from "../../../memory/mod.ts";

/** The connection is paused from so many unread bytes on. */
const highWaterBytes = 64 * 1024;

export interface BodySource {
  /** Stops the client, except for bytes that are on their way. */
  pause(): void;
  resume(): void;
}

const ended: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class BodyQueue implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #source: BodySource;
  /** Counts the unread bytes. */
  readonly #unread: MemoryShare | undefined;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #state: "open" | "complete" | "failed" | "discarded" = "open";
  #failure: unknown;
  #readers: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>>[] = [];

  /** `memory` counts the unread bytes. A body whose reader makes no progress while memory is short fails. */
  constructor(source: BodySource, memory?: MemoryBudget) {
    this.#source = source;
    this.#unread = memory?.share("in", () => this.fail(stalledFault()));
  }

  /** True when the last chunk has arrived. */
  get complete(): boolean {
    return this.#state === "complete";
  }

  push(chunk: Uint8Array): void {
    if (this.#state !== "open" || chunk.length === 0) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#unread?.count(this.#bytes);
    if (this.#bytes >= highWaterBytes && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
  }

  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "complete";
    for (const reader of this.#readers.splice(0)) reader.resolve(ended);
  }

  /** Ends the body with a failure. Unread chunks are dropped, and the reader gets `reason`. */
  fail(reason: unknown): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#failure = reason;
    this.#clear();
    for (const reader of this.#readers.splice(0)) reader.reject(reason);
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.length;
      this.#unread?.progress(chunk.length);
      this.#unread?.count(this.#bytes);
      if (this.#paused && this.#bytes < highWaterBytes) {
        this.#paused = false;
        this.#source.resume();
      }
      return Promise.resolve({ done: false, value: chunk });
    }
    switch (this.#state) {
      case "open": {
        const reader = Promise.withResolvers<IteratorResult<Uint8Array, undefined>>();
        this.#readers.push(reader);
        return reader.promise;
      }
      case "failed":
        return Promise.reject(this.#failure);
      default:
        return Promise.resolve(ended);
    }
  }

  /** Called by a reader that stops early. The rest is discarded as it arrives. */
  return(): Promise<IteratorReturnResult<undefined>> {
    if (this.#state === "open") this.#state = "discarded";
    this.#clear();
    for (const reader of this.#readers.splice(0)) reader.resolve(ended);
    return Promise.resolve(ended);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.#unread?.count(0);
  }
}
