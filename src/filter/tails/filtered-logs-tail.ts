/** A tail of several logs that shows the records that match a filter. See filtered-tail.ts. */
import type { Clock } from "../../lib/time/clock.ts";
import type { DeletedLog, MultiTail, RaftIndex, RaftPosition, TailedBatches } from "../../types.ts";
import type { Filter } from "../filter.ts";
import { requestMsMax, takeMsMax } from "./filtered-tail.ts";
import { SliceScan } from "./slice-scan.ts";

export interface FilteredLogsTailOptions {
  readonly tail: MultiTail;
  readonly filter: Filter;
  readonly clock: Clock;
  /** Milliseconds of evaluation, in all. Default 10,000. */
  readonly msMax?: number | undefined;
}

export class FilteredLogsTail implements MultiTail {
  readonly #options: FilteredLogsTailOptions;
  readonly #msMax: number;
  /** The batches that are being evaluated, and the place before them: a reader that resumes there evaluates them again. */
  #batches:
    | { readonly found: TailedBatches; readonly scan: SliceScan; readonly place: RaftPosition }
    | undefined;
  #usedMs = 0;
  #skipped = 0;

  constructor(options: FilteredLogsTailOptions) {
    this.#options = options;
    this.#msMax = options.msMax ?? requestMsMax;
  }

  get position(): RaftPosition {
    return this.#batches?.place ?? this.#options.tail.position;
  }

  get life(): number {
    return this.#options.tail.life;
  }

  get end(): RaftIndex {
    return this.#options.tail.end;
  }

  /** The time of the request is used up, and there is more to evaluate. Not within batches, so that the place moves. */
  get isSuspended(): boolean {
    return (
      this.#usedMs >= this.#msMax &&
      this.#batches === undefined &&
      this.position.index <= this.#options.tail.end
    );
  }

  /** Records whose evaluation would have cost too much. They were passed over. */
  get skipped(): number {
    return this.#skipped;
  }

  ends(which: "all" | "taken"): ReturnType<MultiTail["ends"]> {
    return this.#options.tail.ends(which);
  }

  /** Returns batches with `kept` only if some of their records match. */
  take(maxBytes?: number): TailedBatches | DeletedLog | "later" | undefined {
    const { clock } = this.#options;
    if (this.isSuspended) return undefined;
    const beganMs = clock.monotonicMs();
    const taken = this.#take(maxBytes, beganMs + takeMsMax);
    this.#usedMs += clock.monotonicMs() - beganMs;
    return taken;
  }

  #take(maxBytes: number | undefined, untilMs: number): TailedBatches | DeletedLog | "later" | undefined {
    const { tail, filter, clock } = this.#options;
    do {
      if (this.#batches === undefined) {
        const place = tail.position;
        const found = tail.take(maxBytes);
        if (found === undefined || found === "later" || "deleted" in found) return found;
        const limits = { foundMax: Number.POSITIVE_INFINITY, endOffset: found.slice.nextOffset };
        this.#batches = { found, scan: new SliceScan(found.slice, found.from, filter, limits), place };
      }
      const { found, scan } = this.#batches;
      scan.step(clock, untilMs);
      if (!scan.isDone) return "later";
      this.#batches = undefined;
      this.#skipped += scan.skipped;
      const kept = scan.takeKept();
      if (kept.length > 0) return { ...found, slice: { ...found.slice, kept } };
    } while (clock.monotonicMs() < untilMs);
    return "later";
  }

  nextBytes(): number {
    return this.#batches?.found.slice.frames.length ?? this.#options.tail.nextBytes();
  }

  ready(): Promise<boolean> {
    return this.#batches === undefined ? this.#options.tail.ready() : Promise.resolve(true);
  }

  [Symbol.dispose](): void {
    this.#batches = undefined;
    this.#options.tail[Symbol.dispose]();
  }
}
