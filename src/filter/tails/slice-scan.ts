/** Evaluates a filter for the records of one slice, in steps of a few milliseconds. */
import type { Clock } from "../../lib/time/clock.ts";
import { RecordCursor } from "../../log/mod.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import type { Filter } from "../filter.ts";

/**
 * Records between two looks at the clock. A condition on bytes takes less than a microsecond, another one up to milliseconds. Each part of
 * a condition on bytes reads the keys and headers of the record again, so so many bytes of a record count as one more record.
 */
const looks = { bytes: 64, evaluated: 1 };
const recordBytes = 256;

export interface ScanLimits {
  /** Records to find. */
  readonly foundMax: number;
  /** The first offset that is not evaluated. */
  readonly endOffset: Offset;
}

export class SliceScan {
  readonly slice: BatchSlice;
  /** Records that match, since the last takeKept(). */
  #kept: Offset[] = [];
  /** The next record to be evaluated. */
  position: Offset;
  /** Records whose evaluation would cost too much, since the begin. */
  skipped = 0;
  /** All records are evaluated, or enough are found. */
  isDone = false;
  readonly #filter: Filter;
  readonly #cursor: RecordCursor;
  readonly #limits: ScanLimits;

  constructor(slice: BatchSlice, from: Offset, filter: Filter, limits: ScanLimits) {
    this.slice = slice;
    this.position = Math.max(from, slice.firstOffset);
    this.#filter = filter;
    this.#cursor = new RecordCursor(slice.frames, from);
    this.#limits = limits;
  }

  /** Evaluates until all is done or the time is over. */
  step(clock: Clock, untilMs: number): void {
    const { foundMax, endOffset } = this.#limits;
    const look = this.#filter.isOnBytes ? looks.bytes : looks.evaluated;
    for (let left = look; ; left -= 1 + Math.floor((this.#cursor.end - this.#cursor.start) / recordBytes)) {
      if (left <= 0) {
        if (clock.monotonicMs() >= untilMs) return;
        left = look;
      }
      if (this.position >= endOffset || !this.#cursor.next()) {
        this.position = Math.min(this.slice.nextOffset, endOffset);
        break;
      }
      const { offset } = this.#cursor;
      if (offset >= endOffset) {
        this.position = endOffset;
        break;
      }
      const verdict = this.#filter.matches(this.#cursor);
      this.position = offset + 1;
      if (verdict === "too-costly") this.skipped++;
      else if (verdict) this.#kept.push(offset);
      if (this.#kept.length >= foundMax) break;
    }
    this.isDone = true;
  }

  /** Returns the records that were found since the last call. */
  takeKept(): Offset[] {
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }
}
