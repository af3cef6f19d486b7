/** A cursor on one record, without a frame around it. */
import { encodeRun, type RecordCursor } from "../../../src/log/mod.ts";
import type { RecordParts } from "../../../src/types.ts";

export function recordCursor(
  record: Partial<RecordParts>,
  offset = 7,
  timestampMs: number = Date.parse("2026-01-01T00:00:01Z"),
): RecordCursor {
  const { bytes } = encodeRun([record]);
  let start = 1;
  while (bytes[start]! >= 0x80) start++;
  start++;
  return { frames: bytes, start, end: bytes.length, offset, timestampMs } as RecordCursor;
}
