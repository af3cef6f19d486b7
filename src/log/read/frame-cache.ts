/**
 * The newest frames in memory: peers and tails at the end of the log get them without a read from the disk.
 *
 * Frames come in groups, each one the buffer that is written to disk; they are never copied. Committed data frames are
 * handed out as slices, the same object to all tails. Those of `default` are made when they are committed, those of a named
 * log when they are read: a log with few readers costs nothing more than its frames. The cache is limited in bytes and in
 * groups. The oldest groups are dropped first, but none that is not on disk yet.
 */
import type { BatchSlice, LogId, Offset, RaftIndex, Term } from "../../types.ts";
import { type ChainEnd, linkOfFrame } from "../frame/chain.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameKind,
  frameLogId,
  frameNextOffset,
  frameTerm,
} from "../frame/frame.ts";
import {
  cutGroup,
  defaultNextInGroup,
  type FrameGroup,
  lastOfGroup,
  type PlacedGroup,
} from "../frame/frame-group.ts";

/** Slices that are handed to tails have about this size at most. */
const sliceBytes = 256 * 1024;

/** Slices of named logs that are kept. */
const keptMax = 1024;

/** What findBatch() found. Without a batch, `index` is where to look on. */
export interface FoundBatch {
  readonly index: RaftIndex;
  readonly batch: { readonly id: LogId; readonly slice: BatchSlice } | undefined;
}

export class FrameCache {
  readonly #bytesMax: number;
  readonly #groupsMax: number;
  #groups: PlacedGroup[] = [];
  /** The slices of `default`, in the order of their offsets. */
  #slices: BatchSlice[] = [];
  /** The last slices of named logs that were read, by the index of their first frame. */
  readonly #kept = new Map<RaftIndex, BatchSlice>();
  #bytes = 0;

  constructor(bytesMax: number, groupsMax = 4096) {
    this.#bytesMax = bytesMax;
    this.#groupsMax = groupsMax;
  }

  /** Adds frames after the last. Groups up to index `durable` are on disk and may be dropped. */
  add(group: PlacedGroup, durable: RaftIndex): void {
    this.#groups.push(group);
    this.#bytes += group.bytes.length;
    if (this.#bytes > this.#bytesMax || this.#groups.length > this.#groupsMax) this.#evict(durable);
  }

  /** The frames `from … to` are committed: makes slices of those of `default`. */
  expose(from: RaftIndex, to: RaftIndex): void {
    for (let g = this.#groupOf(from); g >= 0 && g < this.#groups.length; g++) {
      const group = this.#groups[g]!;
      if (group.first > to) break;
      const low = Math.max(from, group.first) - group.first;
      const high = Math.min(to, lastOfGroup(group)) - group.first;
      for (let k = low; k <= high; k++) {
        if (!isDataOf(group, k, 0)) continue;
        const { slice, next } = sliceFrom(group, k, high);
        this.#slices.push(slice);
        k = next - 1;
      }
    }
  }

  /** The slice that holds this committed offset of `default`, or undefined if it is not cached. */
  sliceAt(offset: Offset): BatchSlice | undefined {
    const slice = this.#slices[sliceIndex(this.#slices, offset)];
    return slice !== undefined && offset >= slice.firstOffset && offset < slice.nextOffset
      ? slice
      : undefined;
  }

  /**
   * The data frames of one log from the one at `from` on, up to `to`. What is up to `to` is committed. Undefined if `from` is
   * not cached, or is no data frame.
   */
  sliceFrom(from: RaftIndex, to: RaftIndex): BatchSlice | undefined {
    const kept = this.#kept.get(from);
    if (kept !== undefined) return kept;
    const group = this.#groups[this.#groupOf(from)];
    const k = group === undefined ? 0 : from - group.first;
    if (group === undefined || frameKind(group.bytes, group.positions[k]!) !== batchKind.data)
      return undefined;
    const { slice } = sliceFrom(group, k, Math.min(to, lastOfGroup(group)) - group.first);
    if (this.#kept.size >= keptMax) this.#kept.clear();
    this.#kept.set(from, slice);
    return slice;
  }

  /** The slices from the one that holds `offset` on: at most `maxBytes`, at least one. Empty if it is not cached. */
  slicesFrom(offset: Offset, maxBytes: number): BatchSlice[] {
    if (this.sliceAt(offset) === undefined) return [];
    const found: BatchSlice[] = [];
    let bytes = 0;
    for (let at = sliceIndex(this.#slices, offset); at < this.#slices.length; at++) {
      const slice = this.#slices[at]!;
      bytes += slice.frames.length;
      const gap = found.length > 0 && found[found.length - 1]!.nextOffset !== slice.firstOffset;
      if (gap || (bytes > maxBytes && found.length > 0)) break;
      found.push(slice);
    }
    return found;
  }

  /** Single frames of the indexes `from` to `to`: at most `maxBytes`, at least one. Empty if `from` is not cached. */
  frames(from: RaftIndex, to: RaftIndex, maxBytes: number): Uint8Array[] {
    const found: Uint8Array[] = [];
    let bytes = 0;
    let index = from;
    for (let g = this.#groupOf(from); g >= 0 && g < this.#groups.length && index <= to; g++) {
      const group = this.#groups[g]!;
      for (; index <= Math.min(to, lastOfGroup(group)); index++) {
        const frame = frameOf(group, index);
        bytes += frame.length;
        if (bytes > maxBytes && found.length > 0) return found;
        found.push(frame);
      }
    }
    return found;
  }

  /**
   * Looks for the first batch of records from index `from` up to `to`, which are committed, of one of these logs: at most
   * `framesMax` frames, and `asksMax` questions whether a log is one of them. Returns its slice, or the index after the last frame
   * that was looked at; undefined if `from` is not cached.
   */
  findBatch(
    from: RaftIndex,
    to: RaftIndex,
    isWanted: (id: LogId) => boolean,
    framesMax: number,
    asksMax = framesMax,
  ): FoundBatch | undefined {
    let g = this.#groupOf(from);
    if (g < 0) return undefined;
    const last = Math.min(to, from + framesMax - 1);
    let asked: { readonly id: LogId; readonly wanted: boolean } | undefined;
    let asks = 0;
    let index = from;
    for (; index <= last && g < this.#groups.length; g++) {
      const { bytes, first, positions } = this.#groups[g]!;
      for (; index <= last && index - first < positions.length - 1; index++) {
        const at = positions[index - first]!;
        if (frameKind(bytes, at) !== batchKind.data) continue;
        const id = frameLogId(bytes, at);
        if (asked?.id !== id) {
          if (asks++ === asksMax) return { index, batch: undefined };
          asked = { id, wanted: isWanted(id) };
        }
        if (!asked.wanted) continue;
        return { index, batch: { id, slice: this.sliceFrom(index, to)! } };
      }
    }
    return { index, batch: undefined };
  }

  term(index: RaftIndex): Term | undefined {
    const group = this.#groups[this.#groupOf(index)];
    return group === undefined ? undefined : frameTerm(group.bytes, group.positions[index - group.first]!);
  }

  /** The end of the log after the frame of `index`, or undefined if it is not cached. */
  endAt(index: RaftIndex): ChainEnd | undefined {
    const group = this.#groups[this.#groupOf(index)];
    if (group === undefined) return undefined;
    const k = index - group.first;
    const nextOffset = defaultNextInGroup(group, k, group.defaultBase);
    return { ...linkOfFrame(group.bytes, group.positions[k]!), nextOffset };
  }

  /** The frames from `from` on were cut off. None of them was committed. */
  truncate(from: RaftIndex): void {
    while (this.#groups.length > 0) {
      const group = this.#groups[this.#groups.length - 1]!;
      if (lastOfGroup(group) < from) break;
      this.#groups.pop();
      this.#bytes -= group.bytes.length;
      if (group.first >= from) continue;
      const kept = cutGroup(group, from);
      this.#groups.push(kept);
      this.#bytes += kept.bytes.length;
      break;
    }
  }

  clear(): void {
    this.#groups = [];
    this.#slices = [];
    this.#kept.clear();
    this.#bytes = 0;
  }

  #evict(durable: RaftIndex): void {
    // A quarter is dropped at once, so that the arrays are shifted rarely.
    let drop = 0;
    while (
      drop < this.#groups.length - 1 &&
      (this.#bytes > 0.75 * this.#bytesMax || this.#groups.length - drop > 0.75 * this.#groupsMax) &&
      lastOfGroup(this.#groups[drop]!) <= durable
    ) {
      this.#bytes -= this.#groups[drop]!.bytes.length;
      drop++;
    }
    this.#groups.splice(0, drop);
    const oldest = this.#groups[0];
    if (oldest === undefined) return;
    const kept = oldest.defaultBase;
    const stale = this.#slices.findIndex((slice) => slice.firstOffset >= kept);
    this.#slices.splice(0, stale < 0 ? this.#slices.length : stale);
    // A slice keeps the buffer of its group in memory.
    this.#kept.clear();
  }

  /** The ordinal of the group that holds this index, or −1. */
  #groupOf(index: RaftIndex): number {
    let [low, high] = [0, this.#groups.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#groups[middle]!.first <= index) low = middle + 1;
      else high = middle;
    }
    const group = this.#groups[low - 1];
    return group !== undefined && index <= lastOfGroup(group) ? low - 1 : -1;
  }
}

/** The ordinal of the last slice that begins at this offset or before it, or −1. */
function sliceIndex(slices: readonly BatchSlice[], offset: Offset): number {
  let [low, high] = [0, slices.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slices[middle]!.firstOffset <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function frameOf(group: FrameGroup, index: RaftIndex): Uint8Array {
  const k = index - group.first;
  return group.bytes.subarray(group.positions[k]!, group.positions[k + 1]!);
}

function isDataOf({ bytes, positions }: FrameGroup, k: number, logId: LogId): boolean {
  const at = positions[k]!;
  return frameKind(bytes, at) === batchKind.data && frameLogId(bytes, at) === logId;
}

/**
 * Data frames of one log from frame `from` of a group on: up to `to`, to the next frame of another kind, and to sliceBytes.
 * `next` is the frame after them.
 */
function sliceFrom(
  group: FrameGroup,
  from: number,
  to: number,
): { readonly slice: BatchSlice; readonly next: number } {
  const { bytes, positions } = group;
  const start = positions[from]!;
  const logId = frameLogId(bytes, start);
  let next = from + 1;
  while (next <= to && positions[next + 1]! - start <= sliceBytes && isDataOf(group, next, logId)) next++;
  const slice = {
    frames: bytes.subarray(start, positions[next]!),
    firstOffset: frameBaseOffset(bytes, start),
    nextOffset: frameNextOffset(bytes, positions[next - 1]!),
  };
  return { slice, next };
}

/** The frame of `slice` that holds `offset`, as a slice. */
export function frameSlice(slice: BatchSlice, offset: Offset): BatchSlice {
  const { frames } = slice;
  for (let at = 0; at < frames.length; at += frameBytes(frames, at)) {
    const nextOffset = frameNextOffset(frames, at);
    if (offset >= nextOffset) continue;
    const length = frameBytes(frames, at);
    if (length === frames.length) return slice;
    return { frames: frames.subarray(at, at + length), firstOffset: frameBaseOffset(frames, at), nextOffset };
  }
  return slice;
}
