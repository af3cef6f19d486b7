/**
 * A cursor on the committed records. take() returns what is available, ready() waits for more without polling. It never
 * skips a record and never goes back.
 */
import type { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { Broadcast } from "../../lib/broadcast.ts";
import type { BatchSlice, Bounds, Offset, Tail } from "../../types.ts";
import type { Preparation } from "./log-walk.ts";
import { outOfRange } from "./reader.ts";

/** Reads the committed records of one log. See Reader. */
export interface RecordReader {
  read(offset: Offset): BatchSlice;
  take(offset: Offset, maxBytes: number, buffer?: Uint8Array): BatchSlice | undefined;
  batchBytes(offset: Offset): number;
  readRecord(offset: Offset): BatchSlice;
  recordBytes(offset: Offset): number;
  seekTime(timestampMs: number): Offset;
  /** Finds the place of a record without holding the event loop. Undefined if reads find it at once. */
  prepare?(offset: Offset): Preparation | undefined;
  prepareTime?(timestampMs: number): Preparation | undefined;
}

/** What a tail needs of a log. */
export interface TailedLog {
  readonly bounds: Bounds;
  readonly reader: Pick<RecordReader, "take" | "batchBytes" | "prepare">;
  /** Also notified when `cutOff` changes. */
  readonly changed: Broadcast;
  readonly closed: boolean;
  /** Why the log receives no more records, if so: a tail that has shown all of them fails with it. */
  readonly cutOff?: Fault | undefined;
  /** True if the log takes no more records: a tail that has shown all of them ends. */
  readonly ended?: boolean;
  tailOpened?(): void;
  tailClosed?(): void;
}

const takeBytesDefault = 256 * 1024;

export class LogTail implements Tail {
  readonly #log: TailedLog;
  #position: Offset;
  #disposed = false;
  #pending:
    | { readonly resolve: (available: boolean) => void; readonly promise: Promise<boolean> }
    | undefined;
  #cancelWait: () => void = () => {};
  #preparation: Preparation | undefined;

  /** @throws Fault "out-of-range" unless the offset is in the log or just after its end */
  constructor(log: TailedLog, from: Offset) {
    if (from < log.bounds.lowest || from > log.bounds.next) throw outOfRange(from, log.bounds);
    this.#log = log;
    this.#position = from;
    log.tailOpened?.();
  }

  get position(): Offset {
    return this.#position;
  }

  get end(): Offset {
    // A log that was deleted has no bounds.
    return this.#log.cutOff === undefined ? this.#log.bounds.next : this.#position;
  }

  take(maxBytes = takeBytesDefault, buffer?: Uint8Array): BatchSlice | undefined {
    if (this.#disposed || this.#log.closed) return undefined;
    const slice = this.#log.reader.take(this.#position, maxBytes, buffer);
    if (slice === undefined) {
      if (this.#log.cutOff !== undefined) throw this.#log.cutOff;
      return undefined;
    }
    assert(
      slice.firstOffset <= this.#position && slice.nextOffset > this.#position,
      "a tail skipped a record",
    );
    this.#position = slice.nextOffset;
    return slice;
  }

  prepare(): Promise<void> | undefined {
    if (this.#disposed || this.#log.closed) return undefined;
    this.#preparation?.stop();
    this.#preparation = this.#log.reader.prepare?.(this.#position);
    return this.#preparation?.over;
  }

  nextBytes(): number {
    return this.#disposed || this.#log.closed ? 0 : this.#log.reader.batchBytes(this.#position);
  }

  ready(): Promise<boolean> {
    if (this.#disposed || this.#log.closed) return Promise.resolve(false);
    if (this.#isReady()) return Promise.resolve(true);
    if (this.#log.ended === true) return Promise.resolve(false);
    if (this.#pending === undefined) {
      this.#pending = Promise.withResolvers<boolean>();
      this.#wait();
    }
    return this.#pending.promise;
  }

  [Symbol.dispose](): void {
    if (!this.#disposed) this.#log.tailClosed?.();
    this.#disposed = true;
    this.#cancelWait();
    this.#preparation?.stop();
    this.#settle(false);
  }

  /** Returns true if take() returns a slice, or throws because the lowest offset passed the cursor or the log is cut off. */
  #isReady(): boolean {
    // A log that was deleted has no bounds.
    if (this.#log.cutOff !== undefined) return true;
    const { lowest, next } = this.#log.bounds;
    return this.#position < next || this.#position < lowest;
  }

  #wait(): void {
    this.#cancelWait = this.#log.changed.wait(() => {
      if (this.#log.closed) this.#settle(false);
      else if (this.#isReady()) this.#settle(true);
      else if (this.#log.ended === true) this.#settle(false);
      else this.#wait();
    });
  }

  #settle(available: boolean): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve(available);
  }
}
