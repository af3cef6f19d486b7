import assert from "node:assert/strict";
import { test } from "node:test";
import { PartialBytes } from "../../../../src/http2/frames/partial-bytes.ts";

test("bytes that come in pieces are handed out as one, and the rest begins empty", () => {
  const partial = new PartialBytes();
  const all = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251));
  for (let at = 0; at < all.length; at += 7) partial.add(all.subarray(at, at + 7));
  assert.equal(partial.length, 1000);
  assert.deepEqual(partial.view, all);
  assert.deepEqual(partial.take(), all);
  assert.equal(partial.length, 0);
  assert.equal(partial.view.length, 0);
});

test("what was taken is not written over", () => {
  const partial = new PartialBytes();
  partial.add(Buffer.from("first"));
  const first = partial.take();
  partial.add(Buffer.from("other"));
  assert.equal(first.toString(), "first");
});
