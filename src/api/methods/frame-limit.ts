/**
 * Selects the whole frames of a slice that a reader receives: those that hold a record at or after its offset, up to its
 * limits. A frame is included if its first such record is within the limits. Frames are neither copied nor cut.
 */
import {
  frameBaseOffset,
  frameBytes,
  frameNextOffset,
  frameRecordCount,
  RecordCursor,
} from "../../log/mod.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import type { ReadLimit } from "./read-limit.ts";

export interface FrameRun {
  /** `frame*`, a view of the slice. */
  readonly bytes: Uint8Array;
  readonly records: number;
  /** One past the last record. */
  readonly next: Offset;
}

/** Returns the frames of `slice` that a reader at offset `from` receives. */
export function frameLimit(slice: BatchSlice, from: Offset, limit: ReadLimit | undefined): FrameRun {
  const { frames } = slice;
  let start = 0;
  while (start < frames.length && frameNextOffset(frames, start) <= from) start += frameBytes(frames, start);
  let at = start;
  let records = 0;
  let next = from;
  while (at < frames.length) {
    const end = at + frameBytes(frames, at);
    if (limit !== undefined && (limit.isSpent || !admits(limit, frames.subarray(at, end), from))) break;
    records += frameRecordCount(frames, at);
    next = frameNextOffset(frames, at);
    at = end;
  }
  return { bytes: frames.subarray(start, at), records, next };
}

/** Counts the records of a frame from offset `from` on. Returns false if already the first one is beyond the limits. */
function admits(limit: ReadLimit, frame: Uint8Array, from: Offset): boolean {
  const cursor = new RecordCursor(frame, Math.max(from, frameBaseOffset(frame, 0)));
  let any = false;
  while (cursor.next()) {
    if (!limit.take(frame, cursor.start, cursor.end, cursor.offset)) return any;
    any = true;
  }
  return true;
}
