/**
 * Reads committed records: the newest from memory, the others from the segments. A frame that comes from a disk is checked
 * each time it is read. What was checked is cached, so that many readers of one range share the work.
 */
import { Fault } from "../../fault.ts";
import type { BatchSlice, Bounds, LogId, Offset, RaftIndex } from "../../types.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameKind,
  frameLogId,
  frameNextOffset,
} from "../frame/frame.ts";
import { firstAtOrAfter, lastAtOrBefore, wholeBatchBytes } from "../index/offset-index.ts";
import { segmentOfIndex, segmentOfOffset, segmentOfTime } from "../segment/find-segment.ts";
import type { Segment } from "../segment/segment.ts";
import { readChunk, readFrame } from "../segment/stored-frame.ts";
import { type FrameCache, frameSlice } from "./frame-cache.ts";
import { type BatchPlace, batchPlace, RecordPieces } from "./record-pieces.ts";
import { removedRecords } from "./removed-records.ts";
import { SliceCache } from "./slice-cache.ts";

const cacheBytesDefault = 8 * 1024 * 1024;

/** What the reader needs of a log, which changes it. */
export interface ReadableLog {
  /** In the order of the log. */
  readonly segments: readonly Segment[];
  readonly frameCache: FrameCache;
  readonly commitIndex: RaftIndex;
  readonly bounds: Bounds;
}

export class Reader {
  readonly #log: ReadableLog;
  /** Single batches from segments. */
  readonly #batches: SliceCache;
  /** Several batches from segments. */
  readonly #chunks: SliceCache;
  /** Slices of the frame cache that were cut or joined. */
  readonly #merged: SliceCache;
  /** Single records of large batches, also of named logs. */
  readonly pieces: RecordPieces;

  /** Each of the three caches of slices holds at most `cacheBytesMax` bytes, and what is known of large batches twice as many. */
  constructor(log: ReadableLog, cacheBytesMax = cacheBytesDefault) {
    this.#log = log;
    this.#batches = new SliceCache(cacheBytesMax);
    this.#chunks = new SliceCache(cacheBytesMax);
    this.#merged = new SliceCache(cacheBytesMax);
    this.pieces = new RecordPieces(2 * cacheBytesMax);
  }

  /**
   * Returns the batch that holds the record at `offset`.
   * @throws Fault "out-of-range", "corrupt"
   */
  read(offset: Offset): BatchSlice {
    const { lowest, next } = this.#log.bounds;
    if (offset < lowest || offset >= next) throw outOfRange(offset, this.#log.bounds);
    const newest = this.#log.frameCache.sliceAt(offset);
    if (newest !== undefined) return frameSlice(newest, offset);
    const [segment, k] = this.#find(offset);
    const base = segment.lookup((index) => index.offset(k));
    const cached = this.#batches.get(base);
    if (cached !== undefined) return cached;
    const [position, end] = segment.lookup((index) => [
      index.position(k),
      k + 1 < index.length ? index.position(k + 1) : segment.bytes,
    ]);
    const frame = readFrame(segment, segment.first + k, position, end - position);
    if (frameLogId(frame, 0) !== 0 || frameBaseOffset(frame, 0) !== base)
      throw segment.damaged(position, "offset");
    if (frameKind(frame, 0) === batchKind.settled) throw removedRecords("the log", offset);
    const slice = { frames: frame, firstOffset: base, nextOffset: frameNextOffset(frame, 0) };
    this.#batches.put(base, slice);
    return slice;
  }

  /**
   * Returns the record at `offset`, and maybe others of its batch, as a slice of one frame.
   * @throws as read()
   */
  readRecord(offset: Offset): BatchSlice {
    const { lowest, next } = this.#log.bounds;
    if (offset < lowest || offset >= next) throw outOfRange(offset, this.#log.bounds);
    const newest = this.#log.frameCache.sliceAt(offset);
    if (newest !== undefined) return this.pieces.ofFrame(frameSlice(newest, offset), offset);
    return this.pieces.read(this.#placeOf(offset), offset, () => this.read(offset));
  }

  /** Returns about how many bytes readRecord() reads; 0 if the record is not in the log. */
  recordBytes(offset: Offset): number {
    const { lowest, next } = this.#log.bounds;
    if (offset < lowest || offset >= next) return 0;
    const newest = this.#log.frameCache.sliceAt(offset);
    if (newest !== undefined) return this.pieces.frameBytes(frameSlice(newest, offset), offset);
    return this.pieces.readBytes(this.#placeOf(offset), offset);
  }

  #placeOf(offset: Offset): BatchPlace {
    const [segment, k] = this.#find(offset);
    return batchPlace(segment, k, 0);
  }

  /** Returns the size of the batch that holds the record at `offset`, without reading it; 0 if it is not in the log. */
  batchBytes(offset: Offset): number {
    const { lowest, next } = this.#log.bounds;
    if (offset < lowest || offset >= next) return 0;
    const newest = this.#log.frameCache.sliceAt(offset);
    if (newest !== undefined) return frameSlice(newest, offset).frames.length;
    const [segment, k] = this.#find(offset);
    return segment.lookup(
      (index) => (k + 1 < index.length ? index.position(k + 1) : segment.bytes) - index.position(k),
    );
  }

  /**
   * Returns whole batches from the one that holds `offset` on: about `maxBytes` of them, at least one. Undefined at the
   * end. What comes from a disk is read into `buffer`, if it fits there, and then it is not cached.
   * @throws Fault "out-of-range" below the lowest offset or above the end, Fault "corrupt"
   */
  take(offset: Offset, maxBytes: number, buffer?: Uint8Array): BatchSlice | undefined {
    const { lowest, next } = this.#log.bounds;
    if (offset === next) return undefined;
    if (offset < lowest || offset > next) throw outOfRange(offset, this.#log.bounds);
    if (maxBytes === 0) return this.read(offset);
    const slices = this.#log.frameCache.slicesFrom(offset, maxBytes);
    if (slices.length === 0) return this.#takeFromDisk(offset, maxBytes, buffer);
    if (slices.length === 1 && isWhole(slices[0]!, offset, maxBytes)) return slices[0];
    const known = this.#merged.get(offset);
    if (known !== undefined && (known.frames.length <= maxBytes || isOneFrame(known))) return known;
    if (slices.length === 1) {
      const part = partOf(slices[0]!, offset, maxBytes);
      this.#merged.put(offset, part);
      return part;
    }
    const [first, ...others] = slices;
    const frames = Buffer.concat([framesFrom(first!, offset), ...others.map((slice) => slice.frames)]);
    const firstOffset = frameBaseOffset(frames, 0);
    const slice = { frames, firstOffset, nextOffset: slices[slices.length - 1]!.nextOffset };
    this.#merged.put(offset, slice);
    return slice;
  }

  /** More is committed: slices that end at the old end are of no more use. */
  committed(): void {
    this.#merged.clear();
  }

  /** Frames were cut off or replaced: clears all caches. */
  clearCaches(): void {
    this.#batches.clear();
    this.#chunks.clear();
    this.#merged.clear();
    this.pieces.clear();
  }

  /** The offset of the first record that is not older than `timestampMs`; the end if all are. */
  seekTime(timestampMs: number): Offset {
    const { lowest, next } = this.#log.bounds;
    const segment = segmentOfTime(this.#log.segments, timestampMs);
    if (segment === undefined) return next;
    const found = segment.lookup((index) => index.offset(firstAtOrAfter(index, timestampMs)));
    return Math.min(next, Math.max(lowest, found));
  }

  /** Returns the frames of the indexes `from` to `to` from the segments: about `maxBytes` of them, at least one. */
  frames(from: RaftIndex, to: RaftIndex, maxBytes: number): Uint8Array[] {
    const segment = segmentOfIndex(this.#log.segments, from);
    const k = from - segment.first;
    const position = segment.lookup((index) => index.position(k));
    const chunk = readChunk(segment, from, position, maxBytes, to);
    const found: Uint8Array[] = [];
    for (let at = 0; at < chunk.length; at += frameBytes(chunk, at)) {
      found.push(chunk.subarray(at, at + frameBytes(chunk, at)));
    }
    return found;
  }

  #takeFromDisk(offset: Offset, maxBytes: number, buffer: Uint8Array | undefined): BatchSlice {
    const cached = this.#chunks.get(offset);
    if (cached !== undefined && (cached.frames.length <= maxBytes || isOneFrame(cached))) return cached;
    const [segment, k] = this.#find(offset);
    const [position, bytes] = segment.lookup((index) => [
      index.position(k),
      wholeBatchBytes(index, k, maxBytes, segment.bytes),
    ]);
    const last = this.#log.commitIndex;
    const chunk = readChunk(segment, segment.first + k, position, bytes, last, buffer);
    const isSettled = frameKind(chunk, 0) === batchKind.settled && frameLogId(chunk, 0) === 0;
    if (isSettled && frameNextOffset(chunk, 0) > offset) throw removedRecords("the log", offset);
    const slice = sliceOfLog(chunk, 0, offset);
    if (slice === undefined) throw segment.damaged(position, "offset");
    if (chunk.buffer !== buffer?.buffer) this.#chunks.put(offset, slice);
    return slice;
  }

  /** The segment that holds `offset`, and the ordinal of the batch in it. */
  #find(offset: Offset): readonly [Segment, number] {
    const segment = segmentOfOffset(this.#log.segments, offset);
    return [segment, segment.lookup((index) => lastAtOrBefore(index, offset))];
  }
}

/**
 * The records of one log in checked frames, from the batch that holds `offset` on. The frames of other logs and commands
 * are left out, in place. Undefined if the first records are not those.
 */
function sliceOfLog(frames: Uint8Array, logId: LogId, offset: Offset): BatchSlice | undefined {
  let end = 0;
  let nextOffset = offset;
  for (let at = 0; at < frames.length; ) {
    const length = frameBytes(frames, at);
    if (frameLogId(frames, at) === logId && frameKind(frames, at) === batchKind.data) {
      const base = frameBaseOffset(frames, at);
      if (end === 0 ? base > offset || frameNextOffset(frames, at) <= offset : base !== nextOffset) break;
      nextOffset = frameNextOffset(frames, at);
      if (end < at) frames.copyWithin(end, at, at + length);
      end += length;
    }
    at += length;
  }
  if (end === 0) return undefined;
  // What is kept in a cache should not hold a buffer that is much larger.
  const kept = 2 * end < frames.length ? frames.slice(0, end) : frames.subarray(0, end);
  return { frames: kept, firstOffset: frameBaseOffset(kept, 0), nextOffset };
}

/** The fault for an offset that is not in the log. */
export function outOfRange(offset: Offset, { lowest, next }: Bounds): Fault {
  return new Fault("out-of-range", {
    message:
      lowest === next
        ? `offset ${offset} is not in the log, which is empty and continues at ${next}`
        : `offset ${offset} is not in the log, which holds ${lowest} to ${next - 1}`,
    facts: { offset, lowest, next },
  });
}

/** The frames of a slice from the one that holds `offset` on. */
function framesFrom(slice: BatchSlice, offset: Offset): Uint8Array {
  if (offset === slice.firstOffset) return slice.frames;
  let at = 0;
  while (frameNextOffset(slice.frames, at) <= offset) at += frameBytes(slice.frames, at);
  return slice.frames.subarray(at);
}

/** Returns true if the whole slice fits. All readers get the same object then, so that they share work on it. */
function isWhole(slice: BatchSlice, offset: Offset, maxBytes: number): boolean {
  return slice.firstOffset === offset && (slice.frames.length <= maxBytes || isOneFrame(slice));
}

const isOneFrame = ({ frames }: BatchSlice): boolean => frameBytes(frames, 0) === frames.length;

/** Whole frames of the slice from the one that holds `offset` on: at most `maxBytes`, at least one. */
export function partOf(slice: BatchSlice, offset: Offset, maxBytes: number): BatchSlice {
  const frames = framesFrom(slice, offset);
  let end = frameBytes(frames, 0);
  let nextOffset = frameNextOffset(frames, 0);
  while (end < frames.length && end + frameBytes(frames, end) <= maxBytes) {
    nextOffset = frameNextOffset(frames, end);
    end += frameBytes(frames, end);
  }
  return { frames: frames.subarray(0, end), firstOffset: frameBaseOffset(frames, 0), nextOffset };
}
