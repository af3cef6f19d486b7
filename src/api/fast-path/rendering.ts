/**
 * A slice as ConsumeResponse messages. What all tails that are caught up would send alike is made once and kept with
 * the slice, so a thousand tails share one buffer.
 *
 * Never: outlives the slice.
 */
import { RecordCursor } from "../../log/mod.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import type { ReadLimit } from "../methods/read-limit.ts";
import { consumeOverheadMax, writeConsumeResponse } from "./response-codec.ts";

/** Enveloped messages, and what they carry. */
export interface Rendering {
  readonly envelopes: Uint8Array;
  readonly records: number;
  /** Bytes of stored records. */
  readonly bytes: number;
  /** One past the last record. */
  readonly next: Offset;
}

const shared = new WeakMap<BatchSlice, Rendering>();

/** The whole slice, without limits: one rendering for all who ask. */
export function renderWhole(slice: BatchSlice): Rendering {
  let rendering = shared.get(slice);
  if (rendering === undefined) {
    rendering = render(slice, slice.firstOffset, undefined);
    shared.set(slice, rendering);
  }
  return rendering;
}

/** The slice's records from `from` on, as far as the limit lets them through. */
export function render(slice: BatchSlice, from: Offset, limit: ReadLimit | undefined): Rendering {
  const { frames, nextOffset } = slice;
  const first = Math.max(from, slice.firstOffset);
  const out = Buffer.allocUnsafeSlow(frames.length + (nextOffset - first) * consumeOverheadMax);
  const cursor = new RecordCursor(frames, first);
  let at = 0;
  let records = 0;
  let bytes = 0;
  let next = first;
  while (cursor.next()) {
    if (limit !== undefined && !limit.take(frames, cursor.start, cursor.end, cursor.offset)) break;
    at = writeConsumeResponse(out, at, cursor);
    records++;
    bytes += cursor.end - cursor.start;
    next = cursor.offset + 1;
  }
  return { envelopes: out.subarray(0, at), records, bytes, next };
}
