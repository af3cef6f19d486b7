import assert from "node:assert/strict";
import { test } from "node:test";
import { allocateBytes, copyBytes } from "../../../../src/client/produce/byte-allocator.ts";

test("two small arrays share a buffer and no byte, and each is zeroed", () => {
  const arrays = Array.from({ length: 200 }, () => allocateBytes(1_000));
  for (const [at, array] of arrays.entries()) {
    assert.ok(array.every((byte) => byte === 0));
    array.fill(at);
  }
  for (const [at, array] of arrays.entries()) assert.ok(array.every((byte) => byte === at));
  const buffers = new Set(arrays.map(({ buffer }) => buffer)).size;
  assert.ok(buffers > 1 && buffers < 10, `${buffers} buffers`);
});

test("a large array has a buffer of its own, so that it does not keep a chunk alive", () => {
  assert.equal(allocateBytes(4_097).buffer.byteLength, 4_097);
  assert.ok(allocateBytes(4_096).buffer.byteLength > 4_096);
});

test("a copy does not change with its original", () => {
  const original = Uint8Array.of(1, 2, 3);
  const copy = copyBytes(original);
  original.fill(9);
  assert.deepEqual([...copy], [1, 2, 3]);
});
