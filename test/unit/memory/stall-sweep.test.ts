import assert from "node:assert/strict";
import { test } from "node:test";
import { smallBytes } from "../../../src/memory/memory-budget.ts";
import { KiB, limit, virtualBudget } from "./virtual-budget.ts";

test("while memory is short, shares without progress are evicted, the largest first", () => {
  const { memory, pass } = virtualBudget();
  const evicted: string[] = [];
  const hold = (name: string, bytes: number) => {
    const share = memory.share("out", () => {
      evicted.push(name);
      share.count(0);
    });
    share.count(bytes);
    return share;
  };
  hold("small", 64 * KiB);
  const moving = hold("moving", 300 * KiB);
  hold("large", 260 * KiB);
  hold("medium", 130 * KiB);
  assert.ok(memory.short);
  for (let turn = 0; turn < 20; turn++) {
    moving.progress(smallBytes);
    pass(100);
  }
  assert.deepEqual(evicted, ["large"]);
  assert.equal(memory.evictions, 1);
  hold("another", 200 * KiB);
  for (let turn = 0; turn < 20; turn++) {
    moving.progress(smallBytes);
    pass(100);
  }
  assert.deepEqual(evicted, ["large", "medium"], "another has not stalled for long enough");
});

test("a few bytes are no progress", () => {
  const { memory, pass } = virtualBudget();
  let isEvicted = false;
  const share = memory.share("in", () => {
    isEvicted = true;
    share.hold(0);
  });
  share.count(0.7 * limit);
  for (let turn = 0; turn < 20; turn++) {
    share.progress(1);
    pass(100);
  }
  assert.ok(isEvicted);
});

test("nothing is evicted while memory is not short, and no timer runs", () => {
  const { memory, time, pass } = virtualBudget();
  const share = memory.share("out", () => assert.fail("evicted"));
  share.count(0.6 * limit);
  pass(60_000);
  assert.equal(time.next, undefined);
  assert.equal(memory.evictions, 0);
});

test("ten thousand stalled shares are evicted in turns of at most 256", () => {
  const { memory, time } = virtualBudget();
  let evictions = 0;
  for (let one = 0; one < 10_000; one++) {
    const share = memory.share("out", () => {
      evictions++;
      share.count(0);
    });
    share.count(8 * KiB);
  }
  let most = 0;
  for (let before = 0; time.step(); before = evictions) most = Math.max(most, evictions - before);
  assert.ok(memory.bytes <= (limit * 5) / 8);
  assert.ok(most <= 256, `${most} in one turn`);
});
