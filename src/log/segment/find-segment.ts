/**
 * Finds the segment that holds an index, an offset or a time. The segments are in the order of the log.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import type { Segment } from "./segment.ts";

/** The last segment that begins at `index` or before it. There must be one. */
export const segmentOfIndex = (segments: readonly Segment[], index: RaftIndex): Segment =>
  segments[placeOfIndex(segments, index)]!;

/** Where that segment is in the list; −1 if there is none. */
export function placeOfIndex(segments: readonly Segment[], index: RaftIndex): number {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segments[middle]!.first <= index) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The Raft index of the last batch of a named log in the segments that begin before `first`; 0 if there is none. */
export function lastBatchBefore(segments: readonly Segment[], first: RaftIndex, id: LogId): RaftIndex {
  for (let at = segments.length - 1; at >= 0; at--) {
    const segment = segments[at]!;
    if (segment.first >= first) continue;
    const batches = segment.batchesOf(id);
    if (batches !== undefined) return segment.first + batches.ordinal(batches.length - 1);
  }
  return 0;
}

/** The last segment that begins at `offset` or before it. There must be one. */
export function segmentOfOffset(segments: readonly Segment[], offset: Offset): Segment {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segments[middle]!.baseOffset <= offset) low = middle + 1;
    else high = middle;
  }
  return segments[low - 1]!;
}

/** The first segment that holds a batch of this time or later. Undefined if all batches are earlier. */
export function segmentOfTime(segments: readonly Segment[], timestampMs: number): Segment | undefined {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const earlier = segments[middle]!.lookup(
      (index) => index.length === 0 || index.timestampMs(index.length - 1) < timestampMs,
    );
    if (earlier) low = middle + 1;
    else high = middle;
  }
  return segments[low];
}
