/**
 * The scrub: reads every sealed segment in the background, at a bounded rate, so that damage is found before a reader
 * needs the record. The first pass begins a second after the start, where the last pass stopped, and the next one a day
 * after the end of a pass. A step reads at most 256 KiB, so it does not block the event loop for long.
 *
 * Damage is reported (see damage), and the pass continues after the damaged segment.
 */
import { Fault } from "../../fault.ts";
import { type DiskFile, errorCode, troubleOf } from "../../lib/disk/disk.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { RaftIndex } from "../../types.ts";
import { scanSteps } from "../frame/chain.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import type { DiskHealth } from "../write/disk-health.ts";

export interface ScrubOptions {
  readonly clock: Clock;
  /** Above 0. */
  readonly bytesPerSecond: number;
  readonly logger: Logger | undefined;
  readonly files: SegmentFiles;
  /** Returns the current sealed segments. */
  readonly sealed: () => readonly SealedSegment[];
  /** The first index of the segment that was scrubbed last before the log was opened. */
  readonly since: RaftIndex;
  /** Saves the first index of the segment that was scrubbed last. */
  readonly save: (first: RaftIndex) => void;
}

const stepBytes = 256 * 1024;
/** Of a log index that is rebuilt. */
const logsSteps = 64;
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
  /** The remaining segments of this pass. */
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
      this.#options.logger?.debug({ ...this.totals }, "a scrub of the sealed segments is complete");
      this.#later(nextPassMs, () => this.#begin());
      return;
    }
    this.#work = scrubSegment(segment, this.#options.files);
    this.#step(segment, 0);
  }

  /** Runs one step, which begins at `position` of the segment's store. */
  #step(segment: SealedSegment, position: number): void {
    // The segment may have been cut off, unsealed or removed since the last step.
    if (!this.#options.sealed().includes(segment)) {
      this.#work?.return();
      this.#next();
      return;
    }
    const bytes = this.#read(segment, position);
    if (bytes === 0) {
      this.#since = segment.first;
      this.#options.save(segment.first);
      this.#next();
      return;
    }
    this.#bytes += bytes;
    const delayMs = (1000 * bytes) / this.#options.bytesPerSecond;
    this.#later(delayMs, () => this.#step(segment, position + bytes));
  }

  /** Returns how many bytes the step read; 0 at the end of the segment. */
  #read(segment: SealedSegment, position: number): number {
    try {
      const step = this.#work?.next();
      return step === undefined || step.done === true ? 0 : step.value;
    } catch (reason) {
      if (reason instanceof Fault) return 0; // reported where it was found
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

/** Checks all bytes of a segment, step by step. Yields how many bytes a step read. Damage is reported. */
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
    const scan = yield* scanSteps(store, bytes, meta.before, () => undefined, stepBytes);
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
  while (!segment.prepareLogs(logsSteps)) yield stepBytes;
}

/** See SegmentedLogOptions. */
export interface ScrubSettings {
  readonly clock?: Clock;
  readonly scrubBytesPerSecond?: number;
  readonly logger?: Logger;
}

/** What the scrub of a log needs of it. */
export interface ScrubbedLog {
  readonly catalog: Catalog;
  readonly files: SegmentFiles;
  readonly set: Pick<SegmentSet, "sealed">;
  readonly health: DiskHealth;
}

/** Starts the scrub if there is a rate and a clock. */
export function startScrub(
  { clock, scrubBytesPerSecond = 0, logger }: ScrubSettings,
  { catalog, files, set, health }: ScrubbedLog,
): Scrub | undefined {
  if (clock === undefined || scrubBytesPerSecond <= 0) return undefined;
  return new Scrub({
    clock,
    bytesPerSecond: scrubBytesPerSecond,
    logger,
    files,
    sealed: () => set.sealed,
    since: catalog.scrubbed(),
    save: (first) => saveScrubbed(first, catalog, health),
  });
}

/** Saves where the scrub continues after the next start. If the disk refuses, it continues further back. */
function saveScrubbed(first: RaftIndex, catalog: Catalog, health: DiskHealth): void {
  try {
    if (health.failure === undefined) catalog.write(catalogChange.scrubbed(first));
  } catch (reason) {
    if (troubleOf(reason) === "lost") health.failed(reason);
  }
}
