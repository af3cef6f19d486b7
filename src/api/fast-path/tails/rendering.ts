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
  /** One past the last record; of a filtered slice, one past the last that was evaluated. */
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
  const { frames, nextOffset, kept } = slice;
  if (kept?.length === 0) return { envelopes: noBytes, records: 0, recordBytes: 0, next: nextOffset };
  const first = Math.max(from, slice.firstOffset);
  const out = Buffer.allocUnsafeSlow(
    frames.length + (kept?.length ?? nextOffset - first) * (consumeOverheadMax + logId.length),
  );
  const cursor = new RecordCursor(frames, first, kept);
  let at = 0;
  let records = 0;
  let recordBytes = 0;
  let next = first;
  let isCut = false;
  while (cursor.next()) {
    if (limit !== undefined && !limit.take(frames, cursor.start, cursor.end, cursor.offset)) {
      isCut = true;
      break;
    }
    at = writeConsumeResponse(out, at, cursor, logId);
    records++;
    recordBytes += cursor.end - cursor.start;
    next = cursor.offset + 1;
  }
  if (kept !== undefined && !isCut) next = nextOffset;
  return { envelopes: out.subarray(0, at), records, recordBytes, next };
}

const noBytes = new Uint8Array(0);
