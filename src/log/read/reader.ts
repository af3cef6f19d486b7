/**
 * Reading committed records: from memory when they are recent, else from the segments. Every frame that comes from
 * a disk is checked before it is handed out, each time it is read; what was checked is kept in memory for a while,
 * so that many readers of one range share the work.
 *
 * Never: shows a record above the commit, waits, writes.
 */
import { Fault } from "../../fault.ts";
import type { BatchSlice, Bounds, Offset, RaftIndex } from "../../types.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameBytesMax,
  frameKind,
  frameNextOffset,
  prefixBytes,
} from "../frame/frame.ts";
import { firstAtOrAfter, lastAtOrBefore, wholeBatchBytes } from "../segment/offset-index.ts";
import type { Segment } from "../segment/segment.ts";
import { flawAt, readFrame } from "../segment/stored-frame.ts";
import { type FrameCache, frameSlice } from "./frame-cache.ts";

/** How much is read from a segment at once. */
const chunkBytes = 256 * 1024;
const cacheBytesDefault = 8 * 1024 * 1024;

/** What the reader looks at; the log changes it. */
export interface ReadableLog {
  /** In the order of the log. */
  readonly segments: readonly Segment[];
  readonly frameCache: FrameCache;
  readonly commitIndex: RaftIndex;
  readonly bounds: Bounds;
}

export class Reader {
  readonly #log: ReadableLog;
  readonly #frames: SliceCache;
  readonly #chunks: SliceCache;
  readonly #merged: SliceCache;

  /** Each of the caches holds at most so many bytes. */
  constructor(log: ReadableLog, readCacheBytesMax = cacheBytesDefault) {
    this.#log = log;
    this.#frames = new SliceCache(readCacheBytesMax);
    this.#chunks = new SliceCache(readCacheBytesMax);
    this.#merged = new SliceCache(readCacheBytesMax);
  }

  /** The batch that holds the record at `offset`. Throws Fault "out-of-range" and "corrupt". */
  read(offset: Offset): BatchSlice {
    const { lowest, next } = this.#log.bounds;
    if (offset < lowest || offset >= next) throw outOfRange(offset, this.#log.bounds);
    const recent = this.#log.frameCache.sliceAt(offset);
    if (recent !== undefined) return frameSlice(recent, offset);
    const [segment, k] = this.#find(offset);
    const base = segment.lookup((index) => index.offset(k));
    const cached = this.#frames.get(base);
    if (cached !== undefined) return cached;
    const [position, end] = segment.lookup((index) => [
      index.position(k),
      k + 1 < index.length ? index.position(k + 1) : segment.bytes,
    ]);
    const frame = readFrame(segment, segment.first + k, position, end - position);
    const slice = { frames: frame, firstOffset: base, nextOffset: frameNextOffset(frame, 0) };
    this.#frames.put(base, slice);
    return slice;
  }

  /** Bytes of the batch that holds the record at `offset`, which is not read for it; 0 when it is not in the log. */
  batchBytes(offset: Offset): number {
    const { lowest, next } = this.#log.bounds;
    if (offset < lowest || offset >= next) return 0;
    const recent = this.#log.frameCache.sliceAt(offset);
    if (recent !== undefined) return frameSlice(recent, offset).frames.length;
    const [segment, k] = this.#find(offset);
    return segment.lookup(
      (index) => (k + 1 < index.length ? index.position(k + 1) : segment.bytes) - index.position(k),
    );
  }

  /**
   * Whole batches from the one that holds `offset` on, about `maxBytes` of them; undefined at the end. Throws Fault
   * "out-of-range" below the lowest offset or above the end, and "corrupt". What must be read from a disk is read into
   * `room`, where it fits, and then not kept. With `maxBytes` 0 it is read().
   */
  take(offset: Offset, maxBytes: number, room?: Uint8Array): BatchSlice | undefined {
    const { lowest, next } = this.#log.bounds;
    if (offset === next) return undefined;
    if (offset < lowest || offset > next) throw outOfRange(offset, this.#log.bounds);
    if (maxBytes === 0) return this.read(offset);
    const slices = this.#log.frameCache.slicesFrom(offset, maxBytes);
    if (slices.length === 0) return this.#takeFromDisk(offset, maxBytes, room);
    if (slices.length === 1 && isWhole(slices[0]!, offset, maxBytes)) return slices[0];
    const known = this.#merged.get(offset);
    if (known !== undefined && (known.frames.length <= maxBytes || isOneFrame(known))) return known;
    if (slices.length === 1) {
      const part = cut(slices[0]!, offset, maxBytes);
      this.#merged.put(offset, part);
      return part;
    }
    const merged = {
      frames: Buffer.concat([
        frameOnward(slices[0]!, offset),
        ...slices.slice(1).map(({ frames }) => frames),
      ]),
      firstOffset: slices[0]!.firstOffset,
      nextOffset: slices[slices.length - 1]!.nextOffset,
    };
    const slice = { ...merged, firstOffset: frameBaseOffset(merged.frames, 0) };
    this.#merged.put(offset, slice);
    return slice;
  }

  /** New records are there: what was merged up to the old end is of no more use. */
  committed(): void {
    this.#merged.clear();
  }

  /** Frames were cut off or replaced. */
  forget(): void {
    this.#frames.clear();
    this.#chunks.clear();
    this.#merged.clear();
  }

  /** The first offset whose record is not older than this; the end when all are. */
  seekTime(timestampMs: number): Offset {
    const { lowest, next } = this.#log.bounds;
    const { segments } = this.#log;
    let [low, high] = [0, segments.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const segment = segments[middle]!;
      const below = segment.lookup(
        (index) => index.length === 0 || index.timestampMs(index.length - 1) < timestampMs,
      );
      if (below) low = middle + 1;
      else high = middle;
    }
    const segment = segments[low];
    if (segment === undefined) return next;
    const found = segment.lookup((index) => index.offset(firstAtOrAfter(index, timestampMs)));
    return Math.min(next, Math.max(lowest, found));
  }

  /** The frames of Raft index `from` up to `to` from the segments, at most about `maxBytes`, at least one. */
  frames(from: RaftIndex, to: RaftIndex, maxBytes: number): Uint8Array[] {
    const segment = this.#segmentOfIndex(from);
    const k = from - segment.first;
    const position = segment.lookup((index) => index.position(k));
    const chunk = this.#readChunk(segment, from, position, maxBytes, to);
    const found: Uint8Array[] = [];
    for (let at = 0; at < chunk.length; at += frameBytes(chunk, at)) {
      found.push(chunk.subarray(at, at + frameBytes(chunk, at)));
    }
    return found;
  }

  #takeFromDisk(offset: Offset, maxBytes: number, room: Uint8Array | undefined): BatchSlice {
    const cached = this.#chunks.get(offset);
    if (cached !== undefined && (cached.frames.length <= maxBytes || isOneFrame(cached))) return cached;
    const [segment, k] = this.#find(offset);
    const [position, bytes] = segment.lookup((index) => [
      index.position(k),
      wholeBatchBytes(index, k, maxBytes, segment.bytes),
    ]);
    const last = this.#log.commitIndex;
    const chunk = this.#readChunk(segment, segment.first + k, position, bytes, last, room);
    // The first frame holds the offset, so it has records; the slice ends before the first that has none.
    let end = 0;
    let nextOffset = offset;
    while (end < chunk.length && frameKind(chunk, end) === batchKind.data) {
      nextOffset = frameNextOffset(chunk, end);
      end += frameBytes(chunk, end);
    }
    const slice = { frames: chunk.subarray(0, end), firstOffset: frameBaseOffset(chunk, 0), nextOffset };
    if (chunk.buffer !== room?.buffer) this.#chunks.put(offset, slice);
    return slice;
  }

  /** Sound frames from index `first` at `position` on, up to index `last`, about `maxBytes` of them. */
  #readChunk(
    segment: Segment,
    first: RaftIndex,
    position: number,
    maxBytes: number,
    last: RaftIndex,
    room?: Uint8Array,
  ): Uint8Array {
    const there = segment.bytes - position;
    const wanted = Math.min(there, Math.max(prefixBytes, Math.min(maxBytes, 16 * chunkBytes)));
    let chunk =
      room !== undefined && wanted <= room.length ? room.subarray(0, wanted) : Buffer.allocUnsafeSlow(wanted);
    let held = segment.read(chunk, position);
    let at = 0;
    for (let index = first; index <= last && at < held; index++) {
      const flaw = flawAt(chunk, at, held, index);
      if (flaw === "short" && at > 0 && held < there) break;
      if (
        flaw === "short" &&
        held < there &&
        held >= prefixBytes &&
        frameBytes(chunk, 0) <= Math.min(there, frameBytesMax)
      ) {
        chunk = Buffer.allocUnsafeSlow(frameBytes(chunk, 0));
        held = segment.read(chunk, position);
        index--;
        continue;
      }
      if (flaw !== undefined) {
        if (at > 0) break; // what is sound so far goes out; the next read begins at the damage
        throw segment.damaged(position + at, flaw);
      }
      at += frameBytes(chunk, at);
    }
    return chunk.subarray(0, at);
  }

  #find(offset: Offset): readonly [Segment, number] {
    const { segments } = this.#log;
    let [low, high] = [0, segments.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle]!.baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    const segment = segments[low - 1]!;
    return [segment, segment.lookup((index) => lastAtOrBefore(index, offset))];
  }

  #segmentOfIndex(at: RaftIndex): Segment {
    const { segments } = this.#log;
    let [low, high] = [0, segments.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle]!.first <= at) low = middle + 1;
      else high = middle;
    }
    return segments[low - 1]!;
  }
}

export function outOfRange(offset: Offset, { lowest, next }: Bounds): Fault {
  return new Fault("out-of-range", {
    message:
      lowest === next
        ? `offset ${offset} is not in the log, which is empty and continues at ${next}`
        : `offset ${offset} is not in the log, which holds ${lowest} to ${next - 1}`,
    facts: { offset, lowest, next },
  });
}

/** The part of a slice's frames that begins with the one that holds `offset`. */
function frameOnward(slice: BatchSlice, offset: Offset): Uint8Array {
  if (offset === slice.firstOffset) return slice.frames;
  let at = 0;
  while (frameNextOffset(slice.frames, at) <= offset) at += frameBytes(slice.frames, at);
  return slice.frames.subarray(at);
}

/** True when all of the slice is to be handed out: the same object to all readers, so that work on it is shared. */
function isWhole(slice: BatchSlice, offset: Offset, maxBytes: number): boolean {
  return slice.firstOffset === offset && (slice.frames.length <= maxBytes || isOneFrame(slice));
}

const isOneFrame = ({ frames }: BatchSlice): boolean => frameBytes(frames, 0) === frames.length;

/** Whole frames of the slice from the one that holds `offset` on, at least one. */
function cut(slice: BatchSlice, offset: Offset, maxBytes: number): BatchSlice {
  const frames = frameOnward(slice, offset);
  let end = frameBytes(frames, 0);
  let nextOffset = frameNextOffset(frames, 0);
  while (end < frames.length && end + frameBytes(frames, end) <= maxBytes) {
    nextOffset = frameNextOffset(frames, end);
    end += frameBytes(frames, end);
  }
  return { frames: frames.subarray(0, end), firstOffset: frameBaseOffset(frames, 0), nextOffset };
}

/** Checked slices by the offset they were asked for, bounded in bytes, oldest use first out. */
class SliceCache {
  readonly #bytesMax: number;
  #bytes = 0;
  readonly #held = new Map<Offset, BatchSlice>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(offset: Offset): BatchSlice | undefined {
    const found = this.#held.get(offset);
    if (found === undefined) return undefined;
    this.#held.delete(offset);
    this.#held.set(offset, found);
    return found;
  }

  put(offset: Offset, slice: BatchSlice): void {
    const before = this.#held.get(offset);
    if (before !== undefined) this.#drop(offset, before);
    this.#held.set(offset, slice);
    this.#bytes += slice.frames.length + 256;
    for (const [oldest, held] of this.#held) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest, held);
    }
  }

  clear(): void {
    if (this.#held.size === 0) return;
    this.#held.clear();
    this.#bytes = 0;
  }

  #drop(offset: Offset, slice: BatchSlice): void {
    this.#held.delete(offset);
    this.#bytes -= slice.frames.length + 256;
  }
}
