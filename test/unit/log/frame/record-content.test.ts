import assert from "node:assert/strict";
import { test } from "node:test";
import {
  batchKind,
  encodeFrame,
  encodeRun,
  RecordCursor,
  recordContentBytes,
} from "../../../../src/log/mod.ts";

test("the content of a record is its key, value, header names and header values, without tags", () => {
  const run = encodeRun([
    {
      value: new Uint8Array(200),
      key: new Uint8Array(3),
      headers: [{ key: "ab", value: new Uint8Array(5) }],
    },
  ]);
  const header = { index: 1, term: 1, baseOffset: 0, timestampMs: 1, recordCount: 1, kind: batchKind.data };
  const cursor = new RecordCursor(encodeFrame(header, run.bytes, 0));
  assert.ok(cursor.next());
  assert.equal(recordContentBytes(cursor.frames, cursor.start, cursor.end), 210);
});
