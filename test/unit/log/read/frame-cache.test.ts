import assert from "node:assert/strict";
import { test } from "node:test";
import type { PlacedGroup } from "../../../../src/log/frame/frame-group.ts";
import { batchKind, encodeFrame, frameBytes, frameIndex } from "../../../../src/log/mod.ts";
import { FrameCache, frameSlice } from "../../../../src/log/read/frame-cache.ts";
import { run } from "../../../support/log/logs.ts";

/** A group of batches with one record each; a batch of kind "noOp" has none. */
function groupOf(
  first: number,
  firstOffset: number,
  kinds: readonly (keyof typeof batchKind)[],
  logIds: readonly number[] = [],
): PlacedGroup {
  let baseOffset = firstOffset;
  const frames = kinds.map((name, k) => {
    const recordCount = name === "data" ? 1 : 0;
    const header = {
      index: first + k,
      term: 1,
      baseOffset,
      timestampMs: 0,
      recordCount,
      kind: batchKind[name],
      logId: logIds[k] ?? 0,
    };
    baseOffset += recordCount;
    return encodeFrame(header, recordCount === 0 ? new Uint8Array(0) : run("value").bytes, 0);
  });
  const positions = [0];
  for (const { length } of frames) positions.push(positions[positions.length - 1]! + length);
  return { bytes: Buffer.concat(frames), positions, first, defaultBase: firstOffset };
}

test("frames are found by index, also before they are committed", () => {
  const cache = new FrameCache(1e6);
  cache.add(groupOf(1, 0, ["data", "data"]), 0);
  cache.add(groupOf(3, 2, ["noOp", "data"]), 0);
  assert.equal(frameIndex(cache.frames(4, 4, 1)[0]!, 0), 4);
  assert.equal(cache.term(3), 1);
  assert.equal(cache.endAt(5), undefined);
  const bytes = frameBytes(cache.frames(1, 1, 1)[0]!, 0);
  assert.deepEqual(
    [1, 2 * bytes, 1e6].map((maxBytes) => cache.frames(1, 4, maxBytes).length),
    [1, 2, 4],
  );
  assert.equal(cache.sliceAt(0), undefined);
});

test("committed frames are slices, which end at batches without records", () => {
  const cache = new FrameCache(1e6);
  cache.add(groupOf(1, 0, ["data", "data", "noOp", "data"]), 0);
  cache.expose(1, 4);
  const extents = cache.slicesFrom(0, 1e6).map(({ firstOffset, nextOffset }) => [firstOffset, nextOffset]);
  assert.deepEqual(extents, [
    [0, 2],
    [2, 3],
  ]);
  assert.equal(cache.sliceAt(1), cache.sliceAt(0));
  assert.deepEqual(frameSlice(cache.sliceAt(0)!, 1).firstOffset, 1);
  assert.equal(cache.sliceAt(3), undefined);
});

test("a slice of a named log is made when it is read: its frames up to another log's, the same for all", () => {
  const cache = new FrameCache(1e6);
  cache.add(groupOf(1, 0, ["data", "data", "data", "data", "noOp"], [7, 7, 7, 8, 0]), 0);
  cache.expose(1, 2);
  const first = cache.sliceFrom(1, 2)!;
  assert.deepEqual([first.firstOffset, first.nextOffset], [0, 2], "the third frame is not committed");
  cache.expose(3, 5);
  assert.equal(cache.sliceFrom(1, 5), first);
  const second = cache.sliceFrom(2, 5)!;
  assert.deepEqual([second.firstOffset, second.nextOffset], [1, 3]);
  assert.equal(cache.sliceFrom(5, 5), undefined);
  assert.equal(cache.sliceFrom(6, 6), undefined);
  assert.equal(cache.sliceAt(0), undefined, "that is an offset of default");
  assert.deepEqual(cache.findBatch(3, 5, (id) => id === 8, 10)?.batch?.slice.firstOffset, 3);
  const asked: number[] = [];
  const ask = (id: number): boolean => asked.push(id) < 0;
  assert.deepEqual(
    cache.findBatch(3, 5, ask, 10, 1),
    { index: 4, batch: undefined },
    "one question was allowed",
  );
  assert.equal(asked.length, 1);
});

test("the oldest groups are dropped beyond the limit, but none that is not on disk", () => {
  const cache = new FrameCache(1);
  for (let n = 1; n <= 3; n++) cache.add(groupOf(n, n - 1, ["data"]), 0);
  assert.notEqual(cache.endAt(1), undefined);
  cache.expose(1, 3);
  cache.add(groupOf(4, 3, ["data"]), 2);
  assert.deepEqual(
    [1, 2, 3, 4].map((index) => cache.endAt(index) !== undefined),
    [false, false, true, true],
  );
  assert.equal(cache.sliceAt(1), undefined);
  assert.notEqual(cache.sliceAt(2), undefined);
});

test("frames that are cut off are not found any more", () => {
  const cache = new FrameCache(1e6);
  cache.add(groupOf(1, 0, ["data", "data"]), 0);
  cache.add(groupOf(3, 2, ["data", "data"]), 0);
  cache.truncate(2);
  assert.deepEqual(
    [1, 2, 3].map((index) => cache.endAt(index) !== undefined),
    [true, false, false],
  );
  cache.add(groupOf(2, 1, ["noOp"]), 0);
  assert.equal(cache.frames(1, 2, 1e6).length, 2);
});
