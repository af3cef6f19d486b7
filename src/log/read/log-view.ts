/**
 * A named log as its readers see it: committed bounds and records. The newest records come from the frame cache, the others
 * from the segments that hold the log, which its batches lead to from the last one back (log-walk.ts). A read walks as far as it
 * must. After prepare() that is not far.
 *
 * A frame that comes from a disk is checked each time: its checksum, its log and its offset. A wrong position never shows
 * one log's records in another one.
 */
import { Fault } from "../../fault.ts";
import { Broadcast } from "../../lib/broadcast.ts";
import type { BatchSlice, Bounds, LogId, Offset, RaftIndex } from "../../types.ts";
import { frameLogId } from "../frame/frame.ts";
import { type LogBatches, lastBatchAt } from "../index/log-index.ts";
import type { Segment } from "../segment/segment.ts";
import type { LogRow } from "../state/log-row.ts";
import type { FrameCache } from "./frame-cache.ts";
import { gatherBatches } from "./gather-batches.ts";
import type { Reached } from "./log-ladder.ts";
import type { RecordReader, TailedLog } from "./log-tail.ts";
import { LogWalk, type WalkedLog, type WalkTurns } from "./log-walk.ts";
import { outOfRange, partOf } from "./reader.ts";

/** What views need of the stored log. */
export interface ViewedLog extends WalkedLog {
  readonly walks: WalkTurns;
  readonly frameCache: FrameCache;
  readonly commitIndex: number;
  /** Of the monotonic clock; undefined without a clock. */
  readonly nowMs?: (() => number) | undefined;
  /** The committed row. */
  row(id: LogId): LogRow | undefined;
}

/** A batch of the log on disk. */
interface Place {
  readonly segment: Segment;
  readonly batches: LogBatches;
  readonly i: number;
  /** The disk was given a hint of the batches before this one. */
  readonly hinted?: number;
}

/** How many reads of the disk a slice takes: few before a reader goes on. */
const [runsMaxFirst, runsMaxNext] = [8, 64];
/** A slice begins no further read of the disk after so many milliseconds: each one holds the event loop. */
const readMsMax = 5;

export class LogView implements TailedLog, RecordReader {
  readonly id: LogId;
  /** Notified when more is committed, when the lowest offset rises, when the log is deleted, and on close. */
  readonly changed = new Broadcast();
  readonly #log: ViewedLog;
  /** Where the last read from disk ended: the next one probably continues there. */
  #last: { readonly offset: Offset; readonly place: Place } | undefined;

  #tails = 0;

  constructor(id: LogId, log: ViewedLog) {
    this.id = id;
    this.#log = log;
  }

  /** True while it has tails, or anything waits for it. */
  get isUsed(): boolean {
    return this.#tails > 0 || this.changed.size > 0;
  }

  tailOpened(): void {
    this.#tails++;
  }

  tailClosed(): void {
    this.#tails--;
  }

  get reader(): RecordReader {
    return this;
  }

  /** The committed row; undefined once the log is deleted. */
  get row(): LogRow | undefined {
    return this.#log.row(this.id);
  }

  get closed(): boolean {
    return this.#log.closed;
  }

  /** Fault "not-found" once the log is deleted. */
  get cutOff(): Fault | undefined {
    return this.row === undefined ? deleted() : undefined;
  }

  /** @throws Fault "not-found" once the log is deleted */
  get bounds(): Bounds {
    const { lowest, next } = this.#rowOrThrow();
    return { lowest, next };
  }

  /**
   * Returns the batch that holds the record at `offset`.
   * @throws Fault "out-of-range", "not-found", "corrupt"
   */
  read(offset: Offset): BatchSlice {
    const { bounds } = this;
    if (offset < bounds.lowest || offset >= bounds.next) throw outOfRange(offset, bounds);
    return this.#read(offset, 0);
  }

  take(offset: Offset, maxBytes: number, buffer?: Uint8Array): BatchSlice | undefined {
    const { bounds } = this;
    if (offset === bounds.next) return undefined;
    if (offset < bounds.lowest || offset > bounds.next) throw outOfRange(offset, bounds);
    return this.#read(offset, maxBytes, buffer);
  }

  batchBytes(offset: Offset): number {
    const row = this.row;
    if (row === undefined || offset < row.lowest || offset >= row.next) return 0;
    const { segment, batches, i } = this.#find(offset);
    const k = batches.ordinal(i);
    return segment.lookup(
      (index) => (k + 1 < index.length ? index.position(k + 1) : segment.bytes) - index.position(k),
    );
  }

  /** The offset of the first record that is not older than `timestampMs`; the end if all are. */
  seekTime(timestampMs: number): Offset {
    const row = this.#rowOrThrow();
    const walk = this.#walkToTime(row, timestampMs);
    walk.step(Number.POSITIVE_INFINITY);
    let found = walk.above;
    if (walk.found !== undefined) {
      const { segment, batches } = walk.found;
      const first = firstNotOlder(segment, batches, timestampMs);
      if (first < batches.length) found = batches.offset(first);
    }
    return Math.min(row.next, Math.max(row.lowest, found));
  }

  /**
   * Walks to where read() or take() begins, in turns of the event loop. Undefined if that is near or there is nothing to read.
   * What keeps the walk from its end is an error of the read.
   */
  prepare(offset: Offset): Promise<void> | undefined {
    const { row } = this;
    if (row === undefined || this.closed || offset < row.lowest || offset >= row.next) return undefined;
    if (this.#nextPlace(offset) !== undefined) return undefined;
    return this.#log.walks.finish(this.#walk(row, isAtOrBefore(offset)));
  }

  /** As prepare(), for seekTime(). */
  prepareTime(timestampMs: number): Promise<void> | undefined {
    const { row } = this;
    if (row === undefined || this.closed) return undefined;
    return this.#log.walks.finish(this.#walkToTime(row, timestampMs));
  }

  #walk(row: LogRow, reached: Reached): LogWalk {
    return new LogWalk(this.#log, this.id, row, reached);
  }

  /** To the last segment of the log that begins not after the first segment with a time that is not older. */
  #walkToTime(row: LogRow, timestampMs: number): LogWalk {
    const from = firstIndexNotOlder(this.#log.segments, timestampMs);
    return this.#walk(row, ({ first, offset }) => first <= from || offset <= row.lowest);
  }

  #read(offset: Offset, bytesMax: number, buffer?: Uint8Array): BatchSlice {
    const place = this.#find(offset);
    return this.#fromMemory(offset, place, bytesMax) ?? this.#fromDisk(offset, place, bytesMax, buffer);
  }

  /** Undefined if the batch is not in memory. */
  #fromMemory(offset: Offset, { segment, batches, i }: Place, bytesMax: number): BatchSlice | undefined {
    const { commitIndex, frameCache } = this.#log;
    const newest = frameCache.sliceFrom(segment.first + batches.ordinal(i), commitIndex);
    if (newest === undefined || frameLogId(newest.frames, 0) !== this.id) return undefined;
    if (newest.firstOffset > offset || newest.nextOffset <= offset) return undefined;
    const isWhole = newest.firstOffset === offset && newest.frames.length <= bytesMax;
    return isWhole ? newest : partOf(newest, offset, bytesMax);
  }

  #fromDisk(offset: Offset, place: Place, bytesMax: number, buffer?: Uint8Array): BatchSlice {
    const { segment, batches, i: first, hinted = 0 } = place;
    const runsMax = this.#last?.offset === offset ? runsMaxNext : runsMaxFirst;
    const limits = { bytesMax, runsMax, commitIndex: this.#log.commitIndex, isLate: this.#timeLimit() };
    const read = gatherBatches(segment, this.id, { batches, first, hinted }, limits, buffer);
    const { slice, next } = read;
    if (slice.firstOffset > offset || slice.nextOffset <= offset) throw segment.damaged(0, "log index");
    this.#last = { offset: slice.nextOffset, place: { segment, batches, i: next, hinted: read.hinted } };
    return slice;
  }

  #timeLimit(): (() => boolean) | undefined {
    const { nowMs } = this.#log;
    if (nowMs === undefined) return undefined;
    const untilMs = nowMs() + readMsMax;
    return () => nowMs() >= untilMs;
  }

  /** The batch that holds `offset`, which is in the log. */
  #find(offset: Offset): Place {
    const row = this.#rowOrThrow();
    const next = this.#nextPlace(offset);
    if (next !== undefined) return next;
    const walk = this.#walk(row, isAtOrBefore(offset));
    walk.step(Number.POSITIVE_INFINITY);
    if (walk.found !== undefined) return { ...walk.found, i: lastBatchAt(walk.found.batches, offset) };
    if (this.#firstIndex > 1) throw removed(row.name, offset);
    throw new Fault("corrupt", {
      message: `no segment holds offset ${offset} of log ${row.name}`,
      facts: { why: "log index", offset },
    });
  }

  /** The place of `offset` if the last read from disk ended there, and its segment goes on. */
  #nextPlace(offset: Offset): Place | undefined {
    const last = this.#last;
    const isNext = last?.offset === offset && last.place.i < last.place.batches.length;
    return isNext && this.#log.segments.includes(last.place.segment) ? last.place : undefined;
  }

  /** The first index that is stored. */
  get #firstIndex(): RaftIndex {
    return this.#log.segments[0]?.first ?? Number.POSITIVE_INFINITY;
  }

  #rowOrThrow(): LogRow {
    const { row } = this;
    if (row === undefined) throw deleted();
    return row;
  }
}

/** The segments were removed after a trim or a delete of the log, and this node has not applied that yet. */
const removed = (name: string, offset: Offset): Fault =>
  new Fault("unavailable", {
    message: `offset ${offset} of log ${name} was removed, this node has not yet applied the command that removed it`,
  });

const deleted = (): Fault => new Fault("not-found", { message: "the log was deleted" });

const isAtOrBefore =
  (offset: Offset): Reached =>
  (rung) =>
    rung.offset <= offset;

/** Where the first segment begins that ends at this time or later. Times never go back in the Raft log. */
function firstIndexNotOlder(segments: readonly Segment[], timestampMs: number): RaftIndex {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segments[middle]!.describe().lastTimestampMs < timestampMs) low = middle + 1;
    else high = middle;
  }
  return segments[low]?.first ?? Number.POSITIVE_INFINITY;
}

/** The first batch of the log in the segment that is not older than this time, or their number. */
function firstNotOlder(segment: Segment, batches: LogBatches, timestampMs: number): number {
  return segment.lookup((index) => {
    let [low, high] = [0, batches.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (index.timestampMs(batches.ordinal(middle)) < timestampMs) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}
