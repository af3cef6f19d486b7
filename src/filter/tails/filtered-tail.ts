/**
 * A tail of one log that shows the records that match a filter. take() evaluates for a few milliseconds. Then it returns what was
 * found, which can be nothing: its position has moved all the same. It uses a limited time of the processor in all, and is
 * suspended then: the reader goes on at its position with a new request.
 */
import type { Clock } from "../../lib/time/clock.ts";
import type { BatchSlice, Offset, Tail } from "../../types.ts";
import type { Filter } from "../filter.ts";
import { SliceScan } from "./slice-scan.ts";

/** Time of one take(), in milliseconds. */
export const takeMsMax = 4;
/** Time of one request, in milliseconds. */
export const requestMsMax = 10_000;
/** Bytes that are read at once. */
const sliceBytes = 128 * 1024;

export interface FilteredTailOptions {
  readonly tail: Tail;
  readonly filter: Filter;
  readonly clock: Clock;
  /** The first offset that is not evaluated. Default: none. */
  readonly endOffset?: Offset | undefined;
  /** Records after which nothing more is evaluated. Default: no limit. */
  readonly recordsMax?: number | undefined;
  /** Milliseconds of evaluation, in all. Default 10,000. */
  readonly msMax?: number | undefined;
}

export class FilteredTail implements Tail {
  readonly #options: FilteredTailOptions;
  readonly #endOffset: Offset;
  readonly #msMax: number;
  #scan: SliceScan | undefined;
  #position: Offset;
  #foundLeft: number;
  #usedMs = 0;
  #skipped = 0;

  constructor(options: FilteredTailOptions) {
    this.#options = options;
    this.#endOffset = options.endOffset ?? Number.POSITIVE_INFINITY;
    this.#foundLeft =
      options.recordsMax === undefined || options.recordsMax === 0
        ? Number.POSITIVE_INFINITY
        : options.recordsMax;
    this.#msMax = options.msMax ?? requestMsMax;
    this.#position = options.tail.position;
  }

  /** The next record to be evaluated. Everything before it that matches was returned. */
  get position(): Offset {
    return this.#position;
  }

  get end(): Offset {
    return this.#options.tail.end ?? this.#options.tail.position;
  }

  /** The time of the request is used up, and there is more to evaluate. */
  get isSuspended(): boolean {
    return this.#usedMs >= this.#msMax && this.#position < Math.min(this.end, this.#endOffset);
  }

  /** Records whose evaluation would have cost too much. They were passed over. */
  get skipped(): number {
    return this.#skipped + (this.#scan?.skipped ?? 0);
  }

  /**
   * Returns a slice whose `kept` are the records that match. Undefined at the end of the log.
   * @throws as Tail.take()
   */
  take(maxBytes: number = sliceBytes): BatchSlice | undefined {
    const { clock, tail, filter } = this.#options;
    if (this.isSuspended) return undefined;
    const beganMs = clock.monotonicMs();
    const untilMs = beganMs + takeMsMax;
    const from = this.#position;
    let taken: BatchSlice | undefined;
    do {
      if (this.#scan === undefined) {
        // No buffer of the caller: the slice is used in several calls.
        const slice = tail.take(Math.min(maxBytes, sliceBytes));
        if (slice === undefined) break;
        const limits = { foundMax: this.#foundLeft, endOffset: this.#endOffset };
        this.#scan = new SliceScan(slice, this.#position, filter, limits);
      }
      taken = this.#step(this.#scan, untilMs, from);
    } while (taken.kept?.length === 0 && this.#scan === undefined && clock.monotonicMs() < untilMs);
    this.#usedMs += clock.monotonicMs() - beganMs;
    return taken;
  }

  #step(scan: SliceScan, untilMs: number, from: Offset): BatchSlice {
    scan.step(this.#options.clock, untilMs);
    const kept = scan.takeKept();
    this.#position = scan.position;
    this.#foundLeft -= kept.length;
    if (scan.isDone) {
      this.#skipped += scan.skipped;
      this.#scan = undefined;
    }
    const { frames, firstOffset } = scan.slice;
    return { frames, firstOffset: Math.max(from, firstOffset), nextOffset: scan.position, kept };
  }

  prepare(): Promise<void> | undefined {
    return this.#scan === undefined ? this.#options.tail.prepare?.() : undefined;
  }

  nextBytes(): number {
    return this.#scan?.slice.frames.length ?? this.#options.tail.nextBytes?.() ?? 0;
  }

  ready(): Promise<boolean> {
    return this.#scan === undefined ? this.#options.tail.ready() : Promise.resolve(true);
  }

  [Symbol.dispose](): void {
    this.#scan = undefined;
    this.#options.tail[Symbol.dispose]();
  }
}
