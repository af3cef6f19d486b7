import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError } from "../../../../src/http2/frames/connection-error.ts";
import { FrameMeter } from "../../../../src/http2/limits/frame-meter.ts";

const budget = { burst: 10, savedMax: 30, perSecond: 2 };

/** A meter with a clock that the test sets. */
function meterAt(nowMs: number) {
  const time = { nowMs };
  const meter = new FrameMeter(budget, time);
  const charge = (): boolean => {
    try {
      meter.charge(1);
      return true;
    } catch (thrown) {
      assert.ok(thrown instanceof ConnectionError);
      assert.equal(thrown.code, 11);
      return false;
    }
  };
  /** How many units the meter allows. */
  const spend = (): number => {
    for (let units = 0; ; units++) if (!charge()) return units;
  };
  return { time, meter, charge, spend };
}

test("a connection may spend its burst before it has earned anything", () => {
  assert.equal(meterAt(0).spend(), 10);
});

test("earned units are saved up to a limit", () => {
  const { meter, spend } = meterAt(0);
  meter.earn(5);
  assert.equal(spend(), 15);
  const rich = meterAt(0);
  for (let at = 0; at < 100; at++) rich.meter.earn(3);
  assert.equal(rich.spend(), 30);
});

test("time earns fractions of a unit, even if the meter is charged often", () => {
  const { time, charge } = meterAt(0);
  for (let at = 0; at < 10; at++) assert.equal(charge(), true);
  for (time.nowMs = 500; time.nowMs <= 60_000; time.nowMs += 500) {
    assert.equal(charge(), true, `${time.nowMs}`);
  }
  time.nowMs = 60_100;
  assert.equal(charge(), false, "a tenth of a second earns a fifth of a unit");
});

test("time refills the balance up to the burst", () => {
  const { time, spend } = meterAt(0);
  assert.equal(spend(), 10);
  time.nowMs = 3_600_000;
  assert.equal(spend(), 10);
});

test("owed units make the next charge fail", () => {
  const { meter, charge } = meterAt(0);
  meter.owe(10);
  assert.equal(charge(), false);
});
