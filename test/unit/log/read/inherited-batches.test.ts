import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { checkFrame, checkPayload, frameBytes, frameLogId, frameProducer } from "../../../../src/log/mod.ts";
import { inheritedSlice, shorter } from "../../../../src/log/read/inherited-batches.ts";
import type { BatchSlice } from "../../../../src/types.ts";
import { valuesOf } from "../../../support/log/logs.ts";
import { namedFrame } from "../named-frames.ts";

const producer = { subject: "ann", id: 1n, epoch: 0, sequence: 0 };
/** Records 0 to 5 of log 2 in two batches: 2/0 to 2/3, and 2/4 to 2/5. */
const source: BatchSlice = {
  frames: Buffer.concat([
    namedFrame({ kind: 0, id: 2, index: 5, base: 0, records: 4, producer }),
    namedFrame({ kind: 0, id: 2, index: 8, base: 4, records: 2 }),
  ]),
  firstOffset: 0,
  nextOffset: 6,
};

test("a fork shows the records before its place, in sound frames of its own", () => {
  for (let next = 1; next <= 6; next++) {
    const slice = inheritedSlice(source, 9, { source: 2, next });
    const expected = ["2/0", "2/1", "2/2", "2/3", "2/4", "2/5"].slice(0, next);
    assert.deepEqual(valuesOf(slice), expected);
    assert.equal(slice.nextOffset, next);
    for (let at = 0; at < slice.frames.length; at += frameBytes(slice.frames, at)) {
      assert.equal(checkFrame(slice.frames, at, slice.frames.length), undefined);
      assert.equal(checkPayload(slice.frames, at), undefined);
      assert.deepEqual([frameLogId(slice.frames, at), frameProducer(slice.frames, at)], [9, undefined]);
    }
  }
});

test("of the last record, only so many bytes are shown as the fork says", () => {
  for (const [next, cut, last] of [
    [2, 1, "2"],
    [4, 2, "2/"],
    [6, 0, ""],
  ] as const)
    assert.equal(valuesOf(inheritedSlice(source, 9, { source: 2, next, cut })).at(-1), last);
  // A slice that ends before the place is shown whole.
  const first = { ...source, frames: source.frames.subarray(0, frameBytes(source.frames, 0)), nextOffset: 4 };
  assert.deepEqual(valuesOf(inheritedSlice(first, 9, { source: 2, next: 6, cut: 0 })).length, 4);
});

test("a source without the records is damage, and of two forks the shorter one counts", () => {
  const late = { ...source, frames: source.frames.subarray(frameBytes(source.frames, 0)), firstOffset: 4 };
  const isCorrupt = (fault: unknown): boolean => fault instanceof Fault && fault.kind === "corrupt";
  assert.throws(() => inheritedSlice(late, 9, { source: 2, next: 3 }), isCorrupt);
  const [short, long, cut] = [
    { source: 1, next: 3 },
    { source: 2, next: 4 },
    { source: 3, next: 3, cut: 2 },
  ];
  assert.deepEqual([shorter(short, long), shorter(long, short)], [short, short]);
  assert.deepEqual([shorter(short, cut), shorter(cut, short), shorter(cut, long)], [cut, cut, cut]);
});
