import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Schedule } from "../../../../src/membership/swim/schedule.ts";

test("timers run in the order of their times, and among equals in the order of their creation", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 }), fc.nat(), (delays, pick) => {
      const schedule = new Schedule(1_000, 1e9);
      const rung: number[] = [];
      const alarms = delays.map((delay, at) => schedule.after(delay, () => rung.push(at)));
      const cancelled = delays.length === 0 ? -1 : pick % delays.length;
      alarms[cancelled]?.cancel();
      schedule.tick(1_060);
      const expected = delays.map((delay, at) => ({ delay, at })).filter(({ at }) => at !== cancelled);
      expected.sort((one, other) => one.delay - other.delay || one.at - other.at);
      assert.deepEqual(
        rung,
        expected.map(({ at }) => at),
      );
      assert.equal(schedule.dueMs(), undefined);
    }),
    { seed: 5, numRuns: 300 },
  );
});

test("a timer created by another timer runs in the same tick if it is due, at its own time", () => {
  const schedule = new Schedule(0, 1e9);
  const times: number[] = [];
  schedule.after(10, () => schedule.after(5, () => times.push(schedule.nowMs)));
  schedule.after(100, () => times.push(schedule.nowMs));
  schedule.tick(50);
  assert.deepEqual(times, [15]);
  assert.equal(schedule.dueMs(), 100);
});

test("after a stall the timers are delayed once, so that waiting messages are handled first", () => {
  const schedule = new Schedule(0, 300);
  const rung: string[] = [];
  schedule.after(500, () => rung.push("ack timeout"));
  schedule.after(1_000, () => rung.push("end of the probe"));
  schedule.tick(10_000);
  assert.deepEqual(rung, [], "a tick that is ten seconds late runs nothing");
  assert.equal(schedule.stalls, 1);
  assert.equal(schedule.dueMs(), 10_050);
  schedule.tick(10_050);
  assert.deepEqual(rung, ["ack timeout"]);
  assert.equal(schedule.dueMs(), 10_550, "the nine seconds of the stall do not count");
  schedule.tick(10_550);
  assert.deepEqual(rung, ["ack timeout", "end of the probe"]);
});

test("a process that is always late makes progress", () => {
  const schedule = new Schedule(0, 300);
  let rung = 0;
  const again = (): void => {
    rung++;
    schedule.after(100, again);
  };
  schedule.after(100, again);
  for (let now = 1_000; now <= 100_000; now += 1_000) schedule.tick(now);
  assert.ok(rung >= 90, `${rung} in a hundred ticks`);
});

test("observed time never passes the next deadline", () => {
  const schedule = new Schedule(0, 300);
  schedule.after(100, () => {});
  schedule.observe(40);
  assert.equal(schedule.nowMs, 40);
  schedule.observe(5_000);
  assert.equal(schedule.nowMs, 100);
  schedule.tick(5_000);
  assert.equal(schedule.stalls, 1, "the stall is still found");
});
