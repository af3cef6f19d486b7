import assert from "node:assert/strict";
import { test } from "node:test";
import { smallBytes } from "../../../src/memory/memory-budget.ts";
import { KiB, limit, virtualBudget } from "./virtual-budget.ts";

const overloaded = { name: "Fault", kind: "overloaded", written: "no" };

test("a large share may use three quarters of the budget, a small one all of it", () => {
  const { memory } = virtualBudget();
  const large = memory.share("in");
  large.hold(0.7 * limit);
  assert.throws(() => memory.share("in").hold(0.1 * limit), overloaded);
  const small = Array.from({ length: 4 }, () => memory.share("out"));
  for (const share of small) share.hold(smallBytes);
  assert.throws(() => memory.share("out").hold(smallBytes), overloaded);
  assert.deepEqual(memory.refused, { in: 1, out: 1, standing: 0 });
  assert.equal(memory.bytes, large.bytes + 4 * smallBytes);
});

test("a share that is refused more keeps what it holds, and can release it", () => {
  const { memory } = virtualBudget();
  const share = memory.share("in");
  share.hold(100 * KiB);
  assert.throws(() => share.hold(limit), overloaded);
  assert.equal(share.bytes, 100 * KiB);
  share.hold(0);
  assert.equal(memory.bytes, 0);
});

test("calls take half of the budget at most, connections a sixteenth more", () => {
  const { memory } = virtualBudget();
  let count = 0;
  for (; memory.mayOpenCall(16 * KiB); count++) memory.count("standing", 16 * KiB);
  assert.equal(count, limit / 2 / (16 * KiB));
  memory.share("in").hold(smallBytes);
  assert.equal(memory.mayConnect(16 * KiB), true, "calls leave a part to connections");
  for (; memory.mayConnect(16 * KiB); count++) memory.count("standing", 16 * KiB);
  assert.equal(memory.short, false, "idle connections do not make memory short");
});

test("a buffer that is pinned many times counts once, until the last pin is removed", () => {
  const { memory } = virtualBudget();
  const shared = new ArrayBuffer(300 * KiB);
  for (let reader = 0; reader < 1000; reader++) memory.pin(shared);
  assert.equal(memory.bytesOf("out"), 300 * KiB);
  for (let reader = 0; reader < 999; reader++) memory.unpin(shared);
  assert.equal(memory.bytesOf("out"), 300 * KiB);
  memory.unpin(shared);
  memory.unpin(shared);
  assert.equal(memory.bytesOf("out"), 0);
});
