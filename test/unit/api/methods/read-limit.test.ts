import assert from "node:assert/strict";
import { test } from "node:test";
import { noLimits, ReadLimit, type ReadLimits } from "../../../../src/api/methods/read-limit.ts";
import { batchKind, encodeFrame, encodeRun, RecordCursor } from "../../../../src/log/mod.ts";

const frame = (sizes: readonly number[]) => {
  const run = encodeRun(sizes.map((size) => ({ value: new Uint8Array(size) })));
  const header = {
    index: 1,
    term: 1,
    baseOffset: 0,
    timestampMs: 1,
    recordCount: sizes.length,
    kind: batchKind.data,
  };
  return encodeFrame(header, run.bytes, 0);
};

function taken(sizes: readonly number[], limits: Partial<ReadLimits>): number {
  const limit = new ReadLimit({ ...noLimits, ...limits });
  const cursor = new RecordCursor(frame(sizes));
  let count = 0;
  while (cursor.next() && limit.take(cursor.frames, cursor.start, cursor.end, cursor.offset)) count++;
  return count;
}

test("a read stops after its number of records, before its end offset, or not at all", () => {
  assert.equal(taken([1, 1, 1], {}), 3);
  assert.equal(taken([1, 1, 1], { recordsMax: 2 }), 2);
  assert.equal(taken([1, 1, 1], { endOffset: 1 }), 1);
  assert.equal(taken([1, 1, 1], { endOffset: 0 }), 0);
});

test("a read stops before the record that would exceed its bytes, but always has the first record", () => {
  assert.equal(taken([100, 100, 100], { bytesMax: 200 }), 2);
  assert.equal(taken([100, 100, 100], { bytesMax: 199 }), 1);
  assert.equal(taken([100, 100], { bytesMax: 1 }), 1);
});

test("a limit that is reached is spent", () => {
  const limit = new ReadLimit({ ...noLimits, recordsMax: 1 });
  assert.equal(limit.isSpent, false);
  const cursor = new RecordCursor(frame([1]));
  cursor.next();
  limit.take(cursor.frames, cursor.start, cursor.end, 0);
  assert.equal(limit.isSpent, true);
});
