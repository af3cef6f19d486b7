/**
 * A named log as its readers see it: committed bounds and records. The newest records come from the frame cache, the others
 * from the segments that hold the log, which its batches lead to from the last one back (log-walk.ts). A read walks as far as it
 * must. After prepare() that is not far.
 *
 * A frame that comes from a disk is checked each time: its checksum, its log and its offset. A wrong position never shows
 * one log's records in another one.
 *
 * A fork has the records before its place from the view of its source, which can be a fork, too (inherited-batches.ts).
 */
import { Fault } from "../../fault.ts";
import { Broadcast } from "../../lib/broadcast.ts";
import type { BatchSlice, Bounds, LogFork, LogId, Offset, RaftIndex } from "../../types.ts";
import { frameLogId } from "../frame/frame.ts";
import { type LogBatches, lastBatchAt } from "../index/log-index.ts";
import { segmentOfIndex } from "../segment/find-segment.ts";
import type { Segment } from "../segment/segment.ts";
import { type LogRow, ownLowest } from "../state/log-row.ts";
import type { FrameCache } from "./frame-cache.ts";
import { gatherBatches, hintBatches } from "./gather-batches.ts";
import { inheritedSlice, shorter, wrongSource } from "./inherited-batches.ts";
import type { Reached } from "./log-ladder.ts";
import type { RecordReader, TailedLog } from "./log-tail.ts";
import { LogWalk, type Preparation, type WalkedLog, type WalkTurns } from "./log-walk.ts";
import { outOfRange, partOf } from "./reader.ts";
import { type BatchPlace, batchPlace, type RecordPieces } from "./record-pieces.ts";
import { removedRecords } from "./removed-records.ts";

/** What views need of the stored log. */
export interface ViewedLog extends WalkedLog {
  readonly walks: WalkTurns;
  readonly frameCache: FrameCache;
  readonly pieces: RecordPieces;
  readonly commitIndex: number;
  /** Of the monotonic clock; undefined without a clock. */
  readonly nowMs?: (() => number) | undefined;
  /** The committed row, as clients see it. */
  row(id: LogId): LogRow | undefined;
  /** The committed row, also of a log that is only kept for its forks. */
  storedRow(id: LogId): LogRow | undefined;
  view(id: LogId): LogView;
}

/** A batch of the log on disk. */
interface Place {
  readonly segment: Segment;
  readonly batches: LogBatches;
  readonly i: number;
  /** The disk was given a hint of the batches before this one. */
  readonly hinted?: number;
}

/** Hints that were given of a segment that is not read yet: of the batches before number `hinted`. */
interface Ahead {
  readonly segment: Segment;
  readonly hinted: number;
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
  #last: { readonly offset: Offset; readonly place: Place; readonly ahead?: Ahead | undefined } | undefined;

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

  /**
   * Returns the record at `offset`, and maybe others of its batch, as a slice of one frame.
   * @throws as read()
   */
  readRecord(offset: Offset): BatchSlice {
    const { bounds } = this;
    if (offset < bounds.lowest || offset >= bounds.next) throw outOfRange(offset, bounds);
    if (this.#inherited(offset) !== undefined) return this.#read(offset, 0);
    const { pieces } = this.#log;
    const place = this.#find(offset);
    const newest = this.#fromMemory(offset, place, 0);
    if (newest !== undefined) return pieces.ofFrame(newest, offset);
    const readWhole = (): BatchSlice => this.#fromDisk(offset, place, 0);
    return pieces.read(this.#batchAt(place), offset, readWhole);
  }

  /** Returns about how many bytes readRecord() reads; 0 if the record is not in the log. */
  recordBytes(offset: Offset): number {
    const row = this.row;
    if (row === undefined || offset < row.lowest || offset >= row.next) return 0;
    if (this.#inherited(offset) !== undefined) return this.#batchBytes(offset);
    return this.#log.pieces.readBytes(this.#batchAt(this.#find(offset)), offset);
  }

  batchBytes(offset: Offset): number {
    const row = this.row;
    if (row === undefined || offset < row.lowest || offset >= row.next) return 0;
    return this.#batchBytes(offset);
  }

  #batchBytes(offset: Offset): number {
    const inherited = this.#inherited(offset);
    if (inherited !== undefined) return inherited.view.#batchBytes(offset);
    return this.#batchAt(this.#find(offset)).bytes;
  }

  #batchAt({ segment, batches, i }: Place): BatchPlace {
    return batchPlace(segment, batches.ordinal(i), this.id);
  }

  /** The offset of the first record that is not older than `timestampMs`; the end if all are. */
  seekTime(timestampMs: number): Offset {
    const { lowest, next } = this.#rowOrThrow();
    return Math.min(next, Math.max(lowest, this.#seekTime(timestampMs)));
  }

  #seekTime(timestampMs: number): Offset {
    const row = this.#storedRow;
    const source = this.#sourceView(row);
    if (source !== undefined) {
      const inherited = source.#seekTime(timestampMs);
      if (inherited < row.fork!.next) return inherited;
    }
    const walk = this.#walkToTime(row, timestampMs);
    walk.step(Number.POSITIVE_INFINITY);
    let found = walk.above;
    if (walk.found !== undefined) {
      const { segment, batches } = walk.found;
      const first = firstNotOlder(segment, batches, timestampMs);
      if (first < batches.length) found = batches.offset(first);
    }
    return Math.max(ownLowest(row), found);
  }

  /**
   * Walks to where read() or take() begins, in turns of the event loop. Undefined if that is near or there is nothing to read.
   * What keeps the walk from its end is an error of the read.
   */
  prepare(offset: Offset): Preparation | undefined {
    const { row } = this;
    if (row === undefined || this.closed || offset < row.lowest || offset >= row.next) return undefined;
    return this.#prepare(offset);
  }

  #prepare(offset: Offset): Preparation | undefined {
    const inherited = this.#inherited(offset);
    if (inherited !== undefined) return inherited.view.#prepare(offset);
    if (this.#nextPlace(offset) !== undefined) return undefined;
    return this.#log.walks.finish(this.#walk(this.#storedRow, isAtOrBefore(offset)));
  }

  /** As prepare(), for seekTime(). */
  prepareTime(timestampMs: number): Preparation | undefined {
    if (this.row === undefined || this.closed) return undefined;
    return this.#prepareTime(timestampMs);
  }

  #prepareTime(timestampMs: number): Preparation | undefined {
    const row = this.#storedRow;
    const source = this.#sourceView(row);
    const inherited = source === undefined ? undefined : source.#prepareTime(timestampMs);
    const own = this.#log.walks.finish(this.#walkToTime(row, timestampMs));
    return inherited === undefined || own === undefined ? (inherited ?? own) : both(inherited, own);
  }

  #walk(row: LogRow, reached: Reached): LogWalk {
    return new LogWalk(this.#log, this.id, row, reached);
  }

  /** To the last segment of the log that begins not after the first segment with a time that is not older. */
  #walkToTime(row: LogRow, timestampMs: number): LogWalk {
    const from = firstIndexNotOlder(this.#log.segments, timestampMs);
    return this.#walk(row, ({ first, offset }) => first <= from || offset <= ownLowest(row));
  }

  #read(offset: Offset, bytesMax: number, buffer?: Uint8Array): BatchSlice {
    const inherited = this.#inherited(offset);
    if (inherited !== undefined)
      return inheritedSlice(inherited.view.#read(offset, bytesMax), this.id, inherited.fork);
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
    const { segment, batches, i: first } = place;
    const last = this.#last?.offset === offset ? this.#last : undefined;
    const isAhead = last?.ahead?.segment === segment;
    const hinted = (isAhead ? last?.ahead?.hinted : place.hinted) ?? 0;
    const runsMax = last === undefined ? runsMaxFirst : runsMaxNext;
    const { commitIndex } = this.#log;
    let ahead = isAhead ? undefined : last?.ahead;
    const atEnd = (): void => {
      ahead ??= this.#hintAfter(segment, bytesMax);
    };
    const limits = { bytesMax, runsMax, commitIndex, atEnd, isLate: this.#timeLimit() };
    const read = gatherBatches(segment, this.id, { batches, first, hinted }, limits, buffer);
    const { slice, next } = read;
    if (slice.firstOffset > offset || slice.nextOffset <= offset) throw segment.damaged(0, "log index");
    this.#last = {
      offset: slice.nextOffset,
      place: { segment, batches, i: next, hinted: read.hinted },
      ahead,
    };
    return slice;
  }

  /** Tells the disk of the first batches in the next segment, if that is known. What is wrong with it is an error of its own read. */
  #hintAfter({ first }: Segment, bytesMax: number): Ahead | undefined {
    const { ladders, segments, commitIndex } = this.#log;
    const rung = ladders.after(this.id, first);
    const segment = rung && segmentOfIndex(segments, rung.first);
    if (segment === undefined || segment.first !== rung?.first) return undefined;
    try {
      const batches = segment.prepareLogs(0, this.id) ? segment.batchesOf(this.id) : undefined;
      if (batches === undefined) return undefined;
      return { segment, hinted: hintBatches(segment, batches, 0, { bytesMax, commitIndex }) };
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      return undefined;
    }
  }

  #timeLimit(): (() => boolean) | undefined {
    const { nowMs } = this.#log;
    if (nowMs === undefined) return undefined;
    const untilMs = nowMs() + readMsMax;
    return () => nowMs() >= untilMs;
  }

  /** The batch that holds `offset`, which is in the log. */
  #find(offset: Offset): Place {
    const row = this.#storedRow;
    const next = this.#nextPlace(offset);
    if (next !== undefined) return next;
    const walk = this.#walk(row, isAtOrBefore(offset));
    walk.step(Number.POSITIVE_INFINITY);
    if (walk.found !== undefined) return { ...walk.found, i: lastBatchAt(walk.found.batches, offset) };
    if (this.#firstIndex > 1) throw removedRecords(`log ${row.name}`, offset);
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

  /** The log that holds the record at `offset`, if that is not this one, and what is shown of it. */
  #inherited(offset: Offset): { readonly view: LogView; readonly fork: LogFork } | undefined {
    let found: { readonly view: LogView; readonly fork: LogFork } | undefined;
    for (let row = this.#storedRow; row.fork !== undefined && offset < row.fork.next; ) {
      const view = this.#sourceView(row)!;
      found = { view, fork: found === undefined ? row.fork : shorter(found.fork, row.fork) };
      row = view.#storedRow;
    }
    return found;
  }

  /** @throws Fault "corrupt" if the log that it was forked from is not there */
  #sourceView({ fork }: LogRow): LogView | undefined {
    if (fork === undefined) return undefined;
    if ((this.#log.storedRow(fork.source)?.next ?? 0) < fork.next) throw wrongSource(fork);
    return this.#log.view(fork.source);
  }

  /** The row, also if the log is only kept for its forks. */
  get #storedRow(): LogRow {
    const row = this.#log.storedRow(this.id);
    if (row === undefined) throw deleted();
    return row;
  }

  #rowOrThrow(): LogRow {
    const { row } = this;
    if (row === undefined) throw deleted();
    return row;
  }
}

const deleted = (): Fault => new Fault("not-found", { message: "the log was deleted" });

const both = (one: Preparation, other: Preparation): Preparation => ({
  over: Promise.all([one.over, other.over]).then(() => undefined),
  stop: () => {
    one.stop();
    other.stop();
  },
});

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
