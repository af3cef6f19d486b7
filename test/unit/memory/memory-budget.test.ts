import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBudget, smallBytes } from "../../../src/memory/memory-budget.ts";
import { VirtualTime } from "../../support/virtual-clock.ts";

const KiB = 1024;
const limit = 1024 * KiB;

function budget() {
  const time = new VirtualTime();
  const memory = new MemoryBudget({ limit, clock: time.clock(), stalledMs: 500 });
  return { time, memory, pass: (ms: number) => passTime(time, ms) };
}

/** Runs what is due within so many milliseconds. */
function passTime(time: VirtualTime, ms: number): void {
  let over = false;
  time.after(ms, () => {
    over = true;
  });
  while (!over) time.step();
}

const overloaded = { name: "Fault", kind: "overloaded", written: "no" };

test("a large share may use three quarters of the budget, a small one all of it", () => {
  const { memory } = budget();
  const large = memory.share("in");
  large.hold(0.7 * limit);
  assert.throws(() => memory.share("in").hold(0.1 * limit), overloaded);
  const small = Array.from({ length: 4 }, () => memory.share("out"));
  for (const share of small) share.hold(smallBytes);
  assert.throws(() => memory.share("out").hold(smallBytes), overloaded);
  assert.deepEqual(memory.refused, { in: 1, out: 1, standing: 0 });
  assert.equal(memory.bytes, large.bytes + 4 * smallBytes);
});

test("a share that is refused keeps what it had, and gives it back", () => {
  const { memory } = budget();
  const share = memory.share("in");
  share.hold(100 * KiB);
  assert.throws(() => share.hold(limit), overloaded);
  assert.equal(share.bytes, 100 * KiB);
  share.hold(0);
  assert.equal(memory.bytes, 0);
});

test("what stands by itself takes half of the budget at most", () => {
  const { memory } = budget();
  let count = 0;
  for (; memory.mayOpenCall(16 * KiB); count++) memory.count("standing", 16 * KiB);
  assert.equal(count, limit / 2 / (16 * KiB));
  memory.share("in").hold(smallBytes);
  assert.equal(memory.mayConnect(16 * KiB), true, "calls leave room for connections");
  for (; memory.mayConnect(16 * KiB); count++) memory.count("standing", 16 * KiB);
  assert.equal(memory.short, false, "connections that do nothing make nothing short");
});

test("one buffer that many wait with counts once, until the last of them lets it go", () => {
  const { memory } = budget();
  const shared = new ArrayBuffer(300 * KiB);
  for (let reader = 0; reader < 1000; reader++) memory.pin(shared);
  assert.equal(memory.held("out"), 300 * KiB);
  for (let reader = 0; reader < 999; reader++) memory.unpin(shared);
  assert.equal(memory.held("out"), 300 * KiB);
  memory.unpin(shared);
  memory.unpin(shared);
  assert.equal(memory.held("out"), 0);
});

test("while the budget is short, shares without progress are cut, the largest first, until it is not", () => {
  const { memory, pass } = budget();
  const cut: string[] = [];
  const hold = (name: string, bytes: number) => {
    const share = memory.share("out", () => {
      cut.push(name);
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
  assert.deepEqual(cut, ["large"]);
  assert.equal(memory.cuts, 1);
  hold("another", 200 * KiB);
  for (let turn = 0; turn < 20; turn++) {
    moving.progress(smallBytes);
    pass(100);
  }
  assert.deepEqual(cut, ["large", "medium"], "another has not stalled for long yet");
});

test("a byte now and then is no progress", () => {
  const { memory, pass } = budget();
  let isCut = false;
  const share = memory.share("in", () => {
    isCut = true;
    share.hold(0);
  });
  share.count(0.7 * limit);
  for (let turn = 0; turn < 20; turn++) {
    share.progress(1);
    pass(100);
  }
  assert.ok(isCut);
});

test("nothing is cut while the budget is not short, and no timer runs", () => {
  const { memory, time, pass } = budget();
  const share = memory.share("out", () => assert.fail("cut"));
  share.count(0.6 * limit);
  pass(60_000);
  assert.equal(time.next, undefined);
  assert.equal(memory.cuts, 0);
});

test("ten thousand stalled shares are cut in turns of a few hundred", () => {
  const { memory, time } = budget();
  let cuts = 0;
  for (let one = 0; one < 10_000; one++) {
    const share = memory.share("out", () => {
      cuts++;
      share.count(0);
    });
    share.count(8 * KiB);
  }
  let most = 0;
  for (let before = 0; time.step(); before = cuts) most = Math.max(most, cuts - before);
  assert.ok(memory.bytes <= (limit * 5) / 8);
  assert.ok(most <= 256, `${most} in one turn`);
});

test("a reader that waits for memory is woken when there is room, in the order of asking, small ones apart", () => {
  const { memory, pass } = budget();
  const large = memory.share("in");
  large.hold(0.75 * limit);
  const woken: string[] = [];
  memory.whenFits(200 * KiB, () => woken.push("first"));
  memory.whenFits(200 * KiB, () => woken.push("second"));
  const stop = memory.whenFits(200 * KiB, () => woken.push("gone"));
  memory.whenFits(8 * KiB, () => woken.push("small"));
  stop();
  pass(1);
  assert.deepEqual(woken, ["small"]);
  large.hold(0.5 * limit);
  pass(1);
  assert.deepEqual(woken, ["small", "first", "second"]);
});
