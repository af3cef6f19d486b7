import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameMeter } from "../../../../src/http2/limits/frame-meter.ts";

const budget = { burst: 10, savedMax: 30, perSecond: 2 };

/** How many single units it takes until the meter says no. */
function spendable(meter: FrameMeter, nowMs: number): number {
  for (let units = 0; ; units++) if (!meter.charge(1, nowMs)) return units;
}

test("a connection may spend its burst before it earned anything, and no more", () => {
  assert.equal(spendable(new FrameMeter(budget, 0), 0), 10);
});

test("what is earned can be saved up to a limit", () => {
  const meter = new FrameMeter(budget, 0);
  meter.earn(5);
  assert.equal(spendable(meter, 0), 15);
  const rich = new FrameMeter(budget, 0);
  for (let at = 0; at < 100; at++) rich.earn(3);
  assert.equal(spendable(rich, 0), 30);
});

test("time earns fractions of a unit, also when it is asked often", () => {
  const meter = new FrameMeter(budget, 0);
  for (let at = 0; at < 10; at++) assert.equal(meter.charge(1, 0), true);
  for (let nowMs = 500; nowMs <= 60_000; nowMs += 500) assert.equal(meter.charge(1, nowMs), true, `${nowMs}`);
  assert.equal(meter.charge(1, 60_100), false, "a tenth of a second is a fifth of a unit");
});

test("time refills no more than the burst", () => {
  const meter = new FrameMeter(budget, 0);
  assert.equal(spendable(meter, 0), 10);
  assert.equal(spendable(meter, 3_600_000), 10);
});

test("what is owed is noticed by the next charge", () => {
  const meter = new FrameMeter(budget, 0);
  meter.owe(10);
  assert.equal(meter.charge(1, 0), false);
});
