import assert from "node:assert/strict";
import { test } from "node:test";
import { KiB, limit, virtualBudget } from "../../support/http/virtual-budget.ts";

test("waiting readers are woken in their order when memory is free, small ones apart from large ones", () => {
  const { memory, pass } = virtualBudget();
  const large = memory.share("in");
  large.hold(0.75 * limit);
  const woken: string[] = [];
  memory.whenFits(200 * KiB, () => woken.push("first"));
  memory.whenFits(200 * KiB, () => woken.push("second"));
  const stop = memory.whenFits(200 * KiB, () => woken.push("canceled"));
  memory.whenFits(8 * KiB, () => woken.push("small"));
  stop();
  pass(1);
  assert.deepEqual(woken, ["small"]);
  large.hold(0.5 * limit);
  pass(1);
  assert.deepEqual(woken, ["small", "first", "second"]);
});

test("a thousand waiting readers are woken in turns of at most 64", () => {
  const { memory, time } = virtualBudget();
  let woken = 0;
  for (let reader = 0; reader < 1000; reader++) memory.whenFits(KiB, () => woken++);
  let most = 0;
  for (let before = 0; time.step(); before = woken) most = Math.max(most, woken - before);
  assert.equal(woken, 1000);
  assert.ok(most <= 64, `${most} in one turn`);
});
