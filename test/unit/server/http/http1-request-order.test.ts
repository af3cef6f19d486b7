import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestOrder } from "../../../../src/server/http/http1-request-order.ts";

/** An order that records which requests have begun. */
function requestOrder(waitingMax?: () => number) {
  const begun: string[] = [];
  const order = new RequestOrder(waitingMax);
  const append = (name: string): boolean => order.add(true, () => begun.push(name));
  const read = (name: string): boolean => order.add(false, () => begun.push(name));
  return { begun, order, append, read };
}

test("appends run at the same time", () => {
  const { begun, append } = requestOrder();
  append("a");
  append("b");
  assert.deepEqual(begun, ["a", "b"]);
});

test("a read waits for the appends before it, and appends wait for a read before them", () => {
  const { begun, order, append, read } = requestOrder();
  append("a");
  append("b");
  read("c");
  append("d");
  append("e");
  order.done();
  assert.deepEqual(begun, ["a", "b"]);
  order.done();
  assert.deepEqual(begun, ["a", "b", "c"]);
  order.done();
  assert.deepEqual(begun, ["a", "b", "c", "d", "e"]);
});

test("requests above the limit are not taken", () => {
  const { read } = requestOrder(() => 2);
  assert.deepEqual(["a", "b", "c", "d"].map(read), [true, true, true, false]);
});
