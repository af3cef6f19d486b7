/**
 * A cursor on the committed records: takes what is there, and is woken when more is. Works on any log that can be
 * read and tells when it changed.
 *
 * Never: polls, skips, goes back.
 */
import { assert } from "../../lib/assert.ts";
import type { Broadcast } from "../../lib/broadcast.ts";
import type { BatchSlice, Bounds, Offset, Tail } from "../../types.ts";
import { outOfRange, type Reader } from "./reader.ts";

/** What a tail looks at. */
export interface TailedLog {
  readonly bounds: Bounds;
  readonly reader: Reader;
  readonly changed: Broadcast;
  readonly closed: boolean;
}

const defaultTakeBytes = 256 * 1024;

export class LogTail implements Tail {
  readonly #log: TailedLog;
  #position: Offset;
  #disposed = false;
  #waiting: { readonly settle: (there: boolean) => void; readonly promise: Promise<boolean> } | undefined;
  #unwait: () => void = () => {};

  /** Throws Fault "out-of-range" unless the offset is in the log or just behind its end. */
  constructor(log: TailedLog, from: Offset) {
    if (from < log.bounds.lowest || from > log.bounds.next) throw outOfRange(from, log.bounds);
    this.#log = log;
    this.#position = from;
  }

  get position(): Offset {
    return this.#position;
  }

  take(maxBytes = defaultTakeBytes, room?: Uint8Array): BatchSlice | undefined {
    if (this.#disposed || this.#log.closed) return undefined;
    const slice = this.#log.reader.take(this.#position, maxBytes, room);
    if (slice === undefined) return undefined;
    assert(slice.firstOffset <= this.#position && slice.nextOffset > this.#position, "a tail that skips");
    this.#position = slice.nextOffset;
    return slice;
  }

  nextBytes(): number {
    return this.#disposed || this.#log.closed ? 0 : this.#log.reader.batchBytes(this.#position);
  }

  ready(): Promise<boolean> {
    if (this.#disposed || this.#log.closed) return Promise.resolve(false);
    if (this.#hasSomething()) return Promise.resolve(true);
    if (this.#waiting === undefined) {
      let settle: (there: boolean) => void = () => {};
      const promise = new Promise<boolean>((resolve) => {
        settle = resolve;
      });
      this.#waiting = { settle, promise };
      this.#wait();
    }
    return this.#waiting.promise;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#unwait();
    this.#settle(false);
  }

  /** Something to take, or a fault to throw: the cursor was overtaken. */
  #hasSomething(): boolean {
    const { lowest, next } = this.#log.bounds;
    return this.#position < next || this.#position < lowest;
  }

  #wait(): void {
    this.#unwait = this.#log.changed.wait(() => {
      if (this.#log.closed) this.#settle(false);
      else if (this.#hasSomething()) this.#settle(true);
      else this.#wait();
    });
  }

  #settle(there: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.settle(there);
  }
}
