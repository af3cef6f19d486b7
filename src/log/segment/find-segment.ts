/**
 * Finds the segment that holds an index, an offset or a time. The segments are in the order of the log.
 */
import type { Offset, RaftIndex } from "../../types.ts";
import type { Segment } from "./segment.ts";

/** The last segment that begins at `index` or before it. There must be one. */
export function segmentOfIndex(segments: readonly Segment[], index: RaftIndex): Segment {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segments[middle]!.first <= index) low = middle + 1;
    else high = middle;
  }
  return segments[low - 1]!;
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
