/** A slice of a named log, as a reader of it gets one. */
import { batchKind, encodeFrame, encodeRun } from "../../../src/log/mod.ts";
import type { BatchSlice } from "../../../src/types.ts";

/** Returns a slice whose records, from offset `base` on, have these values. */
export function streamSlice(base: number, ...values: readonly (string | Uint8Array)[]): BatchSlice {
  const records = encodeRun(values.map((value) => ({ value: Buffer.from(value) })));
  const header = { index: 1, term: 1, baseOffset: base, timestampMs: 1, recordCount: records.count };
  const frames = encodeFrame({ ...header, kind: batchKind.data, logId: 1 }, records.bytes, 0);
  return { frames, firstOffset: base, nextOffset: base + records.count };
}
