import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteAccumulator } from "../../../src/lib/byte-accumulator.ts";

test("bytes that arrive in pieces are returned as one, and it is empty afterwards", () => {
  const partial = new ByteAccumulator();
  const all = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251));
  for (let at = 0; at < all.length; at += 7) partial.add(all.subarray(at, at + 7));
  assert.equal(partial.length, 1000);
  assert.deepEqual(partial.view, all);
  assert.deepEqual(partial.take(), all);
  assert.equal(partial.length, 0);
  assert.equal(partial.view.length, 0);
});

test("taken bytes are not overwritten", () => {
  const partial = new ByteAccumulator();
  partial.add(Buffer.from("first"));
  const first = partial.take();
  partial.add(Buffer.from("other"));
  assert.equal(first.toString(), "first");
});

test("16 KiB that arrive byte by byte are copied a constant number of times", (t) => {
  const partial = new ByteAccumulator();
  const allocate = t.mock.method(Buffer, "allocUnsafeSlow");
  for (let at = 0; at < 16_384; at++) partial.add(Buffer.of(at));
  assert.equal(partial.length, 16_384);
  assert.deepEqual(
    allocate.mock.calls.map(({ arguments: [bytes] }) => bytes),
    [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384],
  );
});
