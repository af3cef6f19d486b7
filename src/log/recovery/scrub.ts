/**
 * The scrub: reads every sealed segment in the background, at a bounded rate, so that damage is found while there is
 * time to do something about it and not by the reader who needs the record. One pass begins a while after the start,
 * where the last one stopped; the next a day after its end.
 *
 * Damage is noted (see damage) and the pass goes on behind it, for the operator wants to know all of it.
 *
 * Never: holds the event loop for more than one small step, keeps the process alive, repairs a store.
 */
import { Fault } from "../../fault.ts";
import { type DiskFile, errorCode } from "../../lib/disk/disk.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { RaftIndex } from "../../types.ts";
import { scanSteps } from "../frame/chain.ts";
import type { SealedSegment } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";

export interface ScrubOptions {
  readonly clock: Clock;
  /** Above 0. */
  readonly bytesPerSecond: number;
  readonly logger: Logger | undefined;
  readonly files: SegmentFiles;
  /** The sealed segments as they are now. */
  readonly sealed: () => readonly SealedSegment[];
  /** The first index of the segment looked at last, as of the last time the log was open. */
  readonly since: RaftIndex;
  /** Keeps it. */
  readonly keep: (first: RaftIndex) => void;
}

const stepBytes = 256 * 1024;
const firstPassMs = 1_000;
const nextPassMs = 24 * 3_600_000;

/** Totals since the log was opened. */
export interface ScrubTotals {
  readonly bytes: number;
  readonly passes: number;
}

export class Scrub {
  readonly #options: ScrubOptions;
  #timer: Timer | undefined;
  /** The segments of this pass that are still to be looked at. */
  #queue: SealedSegment[] = [];
  #work: Generator<number, void> | undefined;
  #since: RaftIndex;
  #bytes = 0;
  #passes = 0;
  #closed = false;

  constructor(options: ScrubOptions) {
    this.#options = options;
    this.#since = options.since;
    this.#later(firstPassMs, () => this.#begin());
  }

  get totals(): ScrubTotals {
    return { bytes: this.#bytes, passes: this.#passes };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#work?.return();
    this.#work = undefined;
  }

  #begin(): void {
    const sealed = this.#options.sealed();
    const from = sealed.findIndex(({ first }) => first > this.#since);
    this.#queue = from > 0 ? [...sealed.slice(from), ...sealed.slice(0, from)] : [...sealed];
    this.#next();
  }

  #next(): void {
    const segment = this.#queue.shift();
    if (segment === undefined) {
      this.#passes++;
      this.#options.logger?.debug({ ...this.totals }, "a scrub of the sealed segments is done");
      this.#later(nextPassMs, () => this.#begin());
      return;
    }
    this.#work = scrubSegment(segment, this.#options.files);
    this.#step(segment, 0);
  }

  /** `position`: where in the segment's store this step begins. */
  #step(segment: SealedSegment, position: number): void {
    // Cut off, un-sealed or removed since: then it is no business of the scrub.
    if (!this.#options.sealed().includes(segment)) {
      this.#work?.return();
      this.#next();
      return;
    }
    const bytes = this.#read(segment, position);
    if (bytes === 0) {
      this.#since = segment.first;
      this.#options.keep(segment.first);
      this.#next();
      return;
    }
    this.#bytes += bytes;
    const delayMs = (1000 * bytes) / this.#options.bytesPerSecond;
    this.#later(delayMs, () => this.#step(segment, position + bytes));
  }

  /** One step; answers how many bytes it read, 0 at the segment's end. */
  #read(segment: SealedSegment, position: number): number {
    try {
      const step = this.#work?.next();
      return step === undefined || step.done === true ? 0 : step.value;
    } catch (reason) {
      if (reason instanceof Fault) return 0; // noted where it was found
      if (errorCode(reason) === "EIO") segment.damaged(position, "unreadable");
      else this.#options.logger?.warn({ err: reason, file: segment.path }, "a segment could not be scrubbed");
      return 0;
    }
  }

  #later(delayMs: number, work: () => void): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(delayMs, work);
  }
}

/** Looks at all bytes of a segment, step by step; each answers how many. Damage is noted. */
function* scrubSegment(segment: SealedSegment, files: SegmentFiles): Generator<number, void> {
  const { path, bytes, seal, meta } = segment;
  let store: DiskFile;
  try {
    store = files.disk.open(path, "read");
  } catch (reason) {
    if (errorCode(reason) !== "ENOENT") throw reason;
    segment.damaged(0, "missing");
    return;
  }
  try {
    const size = store.size();
    if (size !== bytes) {
      segment.damaged(Math.min(size, bytes), "length");
      return;
    }
    const scan = yield* scanSteps(store, bytes, meta.before, () => {}, stepBytes);
    const whole = scan.position === bytes && scan.end.crc === seal.lastCrc;
    if (scan.flaw !== undefined || !whole) {
      segment.damaged(scan.position, scan.flaw ?? "length");
      return;
    }
  } finally {
    store.close();
  }
  yield stepBytes;
  segment.checkIndex();
}
