/**
 * The body of a request between the connection, which pushes pieces as they arrive, and one reader, which takes them
 * with `for await`. Bounded by the connection: pause() is called while the reader is behind. Pure.
 */

import { type MemoryBudget, type MemoryShare, stalledFault } from "../../memory/mod.ts";

/** From so many unread bytes on the sender is asked to pause. */
const highWaterBytes = 64 * 1024;

export interface BodySource {
  /** Send no more than what is on its way. */
  pause(): void;
  resume(): void;
}

const ended: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class BodyQueue implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #source: BodySource;
  /** Counts what is unread. */
  readonly #unread: MemoryShare | undefined;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #state: "open" | "complete" | "failed" | "discarded" = "open";
  #failure: unknown;
  #waiting: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>>[] = [];

  /** `memory` counts what is unread; a body whose reader does not go on while memory is short fails. */
  constructor(source: BodySource, memory?: MemoryBudget) {
    this.#source = source;
    this.#unread = memory?.share("in", () => this.fail(stalledFault()));
  }

  /** The last piece has arrived. */
  get complete(): boolean {
    return this.#state === "complete";
  }

  push(chunk: Uint8Array): void {
    if (this.#state !== "open" || chunk.length === 0) return;
    const reader = this.#waiting.shift();
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
    for (const reader of this.#waiting.splice(0)) reader.resolve(ended);
  }

  /** The rest will not come. The reader gets `reason`, after what has arrived is dropped. */
  fail(reason: unknown): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#failure = reason;
    this.#clear();
    for (const reader of this.#waiting.splice(0)) reader.reject(reason);
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
        this.#waiting.push(reader);
        return reader.promise;
      }
      case "failed":
        return Promise.reject(this.#failure);
      default:
        return Promise.resolve(ended);
    }
  }

  /** The reader wants no more: the rest is discarded as it arrives. */
  return(): Promise<IteratorReturnResult<undefined>> {
    if (this.#state === "open") this.#state = "discarded";
    this.#clear();
    for (const reader of this.#waiting.splice(0)) reader.resolve(ended);
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
