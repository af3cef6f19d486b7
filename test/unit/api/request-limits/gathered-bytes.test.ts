import assert from "node:assert/strict";
import { test } from "node:test";
import { GatheredBytes } from "../../../../src/api/request-limits/gathered-bytes.ts";

test("a single chunk is returned without a copy, and empty chunks do not count", () => {
  const gathered = new GatheredBytes();
  const chunk = Buffer.from("abc");
  for (const bytes of [new Uint8Array(0), chunk]) gathered.add(bytes);
  assert.deepEqual([gathered.length, gathered.capacity], [3, 3]);
  const taken = gathered.take();
  assert.equal(taken.buffer, chunk.buffer);
  assert.equal(taken.toString(), "abc");
});

test("chunks of any size are joined in order, and the collection is empty afterwards", () => {
  const all = Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 251));
  for (const size of [1, 7, 1000, 4999]) {
    const gathered = new GatheredBytes();
    for (let at = 0; at < all.length; at += size) gathered.add(all.subarray(at, at + size));
    assert.equal(gathered.length, all.length);
    assert.ok(gathered.capacity >= all.length && gathered.capacity <= 2 * all.length);
    assert.deepEqual(gathered.take(), all);
    assert.equal(gathered.length, 0);
    assert.equal(gathered.take().length, 0);
  }
});
