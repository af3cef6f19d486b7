import assert from "node:assert/strict";
import { test } from "node:test";
import { UnreadBytes } from "../../../../src/server/http/direct/unread-bytes.ts";
import { KiB, virtualBudget } from "../../memory/virtual-budget.ts";

test("unread bytes count until they are taken, and a small part of a buffer does not keep the buffer", () => {
  const { memory } = virtualBudget();
  const unread = new UnreadBytes(memory, () => assert.fail("memory is not short"));
  const chunk = Buffer.alloc(64 * KiB, 1);
  unread.keep(chunk);
  assert.equal(memory.bytes, 64 * KiB);
  assert.equal(unread.takeWith(Buffer.from([2])).length, 64 * KiB + 1);
  assert.deepEqual([memory.bytes, unread.length], [0, 0]);
  unread.keep(chunk.subarray(60 * KiB + 1));
  assert.equal(memory.bytes, 0, "part of the fixed cost of a connection");
  const rest = unread.take();
  assert.deepEqual([rest.length, rest.buffer.byteLength], [4 * KiB - 1, 4 * KiB - 1]);
});

test("a connection whose unread bytes wait for long is ended while memory is short", () => {
  const { memory, pass } = virtualBudget();
  let ended = 0;
  const unread = new UnreadBytes(memory, () => {
    ended++;
    unread.take();
  });
  unread.keep(Buffer.alloc(800 * KiB));
  pass(10_000);
  assert.deepEqual([ended, memory.bytes], [1, 0]);
});
