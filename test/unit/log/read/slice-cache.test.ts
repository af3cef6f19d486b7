import assert from "node:assert/strict";
import { test } from "node:test";
import { SliceCache } from "../../../../src/log/read/slice-cache.ts";

const slice = (firstOffset: number, bytes = 744) => ({
  frames: new Uint8Array(bytes),
  firstOffset,
  nextOffset: firstOffset + 1,
});

test("the least recently used slices are dropped beyond the limit", () => {
  const cache = new SliceCache(3000);
  for (let offset = 0; offset < 3; offset++) cache.put(offset, slice(offset));
  assert.equal(cache.get(0)?.firstOffset, 0);
  cache.put(3, slice(3));
  assert.deepEqual(
    [0, 1, 2, 3].map((offset) => cache.get(offset)?.firstOffset),
    [0, undefined, 2, 3],
  );
});

test("a slice that is larger than the limit is not kept", () => {
  const cache = new SliceCache(1000);
  cache.put(0, slice(0, 2000));
  assert.equal(cache.get(0), undefined);
  cache.put(1, slice(1));
  assert.notEqual(cache.get(1), undefined);
});

test("a replaced slice does not count any more", () => {
  const cache = new SliceCache(2000);
  for (let n = 0; n < 5; n++) cache.put(0, slice(0));
  cache.put(1, slice(1));
  assert.notEqual(cache.get(0), undefined);
  cache.clear();
  assert.equal(cache.get(1), undefined);
});
