/**
 * Encodes a slice as ConsumeResponse messages. What all tails at the end of the log send is encoded once and cached with
 * the slice, so a thousand tails share one buffer.
 */
import { RecordCursor } from "../../../log/mod.ts";
import type { BatchSlice, Offset } from "../../../types.ts";
import type { ReadLimit } from "../../methods/read-limit.ts";
import { consumeOverheadMax, writeConsumeResponse } from "../codec/response-codec.ts";

/** Messages in envelopes, and what they carry. */
export interface Rendering {
  readonly envelopes: Uint8Array;
  readonly records: number;
  /** Bytes of the stored records. */
  readonly recordBytes: number;
  /** One past the last record. */
  readonly next: Offset;
}

const renderings = new WeakMap<BatchSlice, Rendering>();

/** Renders the whole slice without limits. All callers share the result: a slice is of one log, which has one id. */
export function renderWhole(slice: BatchSlice, logId: Uint8Array): Rendering {
  let rendering = renderings.get(slice);
  if (rendering === undefined) {
    rendering = render(slice, slice.firstOffset, undefined, logId);
    renderings.set(slice, rendering);
  }
  return rendering;
}

/** Renders the records of the slice from offset `from` on, up to the limit. `logId` is the encoded field. */
export function render(
  slice: BatchSlice,
  from: Offset,
  limit: ReadLimit | undefined,
  logId: Uint8Array,
): Rendering {
  const { frames, nextOffset } = slice;
  const first = Math.max(from, slice.firstOffset);
  const out = Buffer.allocUnsafeSlow(
    frames.length + (nextOffset - first) * (consumeOverheadMax + logId.length),
  );
  const cursor = new RecordCursor(frames, first);
  let at = 0;
  let records = 0;
  let recordBytes = 0;
  let next = first;
  while (cursor.next()) {
    if (limit !== undefined && !limit.take(frames, cursor.start, cursor.end, cursor.offset)) break;
    at = writeConsumeResponse(out, at, cursor, logId);
    records++;
    recordBytes += cursor.end - cursor.start;
    next = cursor.offset + 1;
  }
  return { envelopes: out.subarray(0, at), records, recordBytes, next };
}
