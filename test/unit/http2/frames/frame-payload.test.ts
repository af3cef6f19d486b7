import assert from "node:assert/strict";
import { test } from "node:test";
import { headerFragment, unpadded } from "../../../../src/http2/frames/frame-payload.ts";

const padded = 8;
const priority = 0x20;

test("padding and its length are removed", () => {
  assert.equal(unpadded(Buffer.from("\x02ab\0\0", "latin1"), 0).toString(), "ab");
  assert.equal(unpadded(Buffer.of(0), 0).length, 0);
});

test("padding that is longer than the payload is a protocol error", () => {
  assert.throws(() => unpadded(Buffer.of(2, 0), 0), { code: 1 });
  assert.throws(() => unpadded(Buffer.alloc(0), 0), { code: 1 });
});

test("a header fragment has neither padding nor priority", () => {
  const depends = Buffer.from([0, 0, 0, 5, 15]);
  const block = Buffer.from("block");
  assert.deepEqual(headerFragment(0, 1, block), block);
  assert.deepEqual(headerFragment(priority, 1, Buffer.concat([depends, block])), block);
  const both = Buffer.concat([Buffer.of(3), depends, block, Buffer.alloc(3)]);
  assert.deepEqual(headerFragment(padded | priority, 1, both), block);
});

test("a priority that is cut off or depends on its own stream is an error", () => {
  assert.throws(() => headerFragment(priority, 1, Buffer.alloc(4)), { code: 6 });
  assert.throws(() => headerFragment(priority, 5, Buffer.from([0x80, 0, 0, 5, 0])), { code: 1 });
});
