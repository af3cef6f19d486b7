import assert from "node:assert/strict";
import { test } from "node:test";
import { BroadcastQueue } from "../../../../src/membership/swim/broadcast-queue.ts";

const message = (text: string): Buffer => Buffer.from(text);
const texts = (taken: readonly Buffer[]): string[] => taken.map(String);

test("the messages with the fewest transmissions come first, among equals the newest, up to the limit", () => {
  const queue = new BroadcastQueue(10);
  let done = 0;
  queue.add(message("a"), undefined, () => done++);
  queue.add(message("b"));
  assert.deepEqual(texts(queue.take(1, 0, 2)), ["b"]);
  assert.deepEqual(texts(queue.take(1, 0, 2)), ["a"]);
  queue.add(message("c"));
  assert.deepEqual(texts(queue.take(3, 0, 2)), ["c", "b", "a"]);
  assert.equal(done, 1);
  assert.deepEqual(texts(queue.take(3, 0, 2)), ["c"]);
  assert.equal(queue.length, 0);
});

test("a newer message about the same subject replaces the older one, whose onDone is called", () => {
  const queue = new BroadcastQueue(10);
  const done: string[] = [];
  queue.add(message("old"), "m1", () => done.push("old"));
  queue.add(message("new"), "m1", () => done.push("new"));
  assert.deepEqual(done, ["old"]);
  assert.deepEqual(texts(queue.take(100, 0, 9)), ["new"]);
});

test("four transmissions to unverified members count as one", () => {
  const queue = new BroadcastQueue(10);
  queue.add(message("a"));
  for (let copy = 0; copy < 4; copy++) assert.deepEqual(texts(queue.take(1, 0, 2, 255, false)), ["a"]);
  assert.deepEqual(texts(queue.take(1, 0, 2)), ["a"]);
  assert.equal(queue.length, 0);
  queue.add(message("b"));
  for (let copy = 0; copy < 8; copy++) queue.take(1, 0, 2, 255, false);
  assert.equal(queue.length, 0);
});

test("a message that does not fit is skipped for one that does", () => {
  const queue = new BroadcastQueue(10);
  queue.add(message("tiny"));
  queue.add(message("very large"));
  assert.deepEqual(texts(queue.take(8, 2, 9)), ["tiny"]);
  assert.deepEqual(texts(queue.take(100, 2, 9, 1)), ["very large"]);
});

test("a full queue drops the message with the most transmissions", () => {
  const queue = new BroadcastQueue(2);
  queue.add(message("a"));
  queue.take(1, 0, 9);
  queue.add(message("b"));
  queue.add(message("c"));
  assert.deepEqual(texts(queue.take(9, 0, 9)).sort(), ["b", "c"]);
  assert.equal(queue.overflow, 1);
});
