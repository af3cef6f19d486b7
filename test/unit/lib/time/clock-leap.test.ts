import assert from "node:assert/strict";
import { test } from "node:test";
import { ClockLeaps } from "../../../../src/lib/time/clock-leap.ts";

const second = 1_000;
const minute = 60_000;
const hour = 3_600_000;

/** Two clocks that can be moved apart. */
class Clocks {
  readonly leaps = new ClockLeaps();
  wallMs = 1_700_000_000_000;
  monotonicMs = 5;

  constructor() {
    this.look();
  }

  pass(ms: number, wallMs = ms): this {
    this.monotonicMs += ms;
    this.wallMs += wallMs;
    return this;
  }

  look(): this {
    this.leaps.look(this);
    return this;
  }
}

test("a wall clock that moved by more than a minute since the last look has leapt, forward or back", () => {
  for (const byMs of [2 * hour, -2 * hour, 61 * second, -61 * second]) {
    const clocks = new Clocks().pass(second, second + byMs).look();
    assert.deepEqual(clocks.leaps.last, { byMs, atMs: second + 5 });
  }
  for (const byMs of [0, 59 * second, -59 * second]) {
    assert.equal(new Clocks().pass(second, second + byMs).look().leaps.last, undefined);
  }
});

test("time that passes between two looks is no leap, even if it is long", () => {
  const clocks = new Clocks();
  for (const ms of [0, 1, second, minute, 100 * hour]) clocks.pass(ms).look();
  assert.equal(clocks.leaps.last, undefined);
});

test("drift and slewing are no leap; many small steps together are one", () => {
  const slewed = new Clocks();
  for (let n = 0; n < 24 * 3600; n++) slewed.pass(second, second * 1.0005).look();
  for (let n = 0; n < 3600; n++) slewed.pass(second, second * 0.985).look();
  assert.equal(slewed.leaps.last, undefined);
  const stepped = new Clocks();
  for (let n = 0; n < 4; n++) stepped.pass(second, 20 * second).look();
  assert.notEqual(stepped.leaps.last, undefined);
});

test("a suspended machine, whose monotonic clock stands still, has leapt", () => {
  assert.equal(new Clocks().pass(second, 8 * hour).look().leaps.last?.byMs, 8 * hour - second);
});

test("a clock that returns within an hour has not leapt, after any number of leaps", () => {
  const clocks = new Clocks()
    .pass(second, 2 * hour)
    .look()
    .pass(30 * minute)
    .look();
  clocks.pass(second, hour).look();
  assert.equal(clocks.leaps.last?.byMs, hour - second);
  clocks.pass(second, -3 * hour + minute).look();
  assert.notEqual(clocks.leaps.last, undefined);
  clocks.pass(second, -minute).look();
  assert.equal(clocks.leaps.last, undefined);
  clocks.pass(second, -2 * hour).look();
  assert.notEqual(clocks.leaps.last, undefined);
});

test("the time without leaps is known for an hour, or until the clock returns", () => {
  const clocks = new Clocks().pass(second);
  const { leaps } = clocks;
  const shown = (): number | undefined => leaps.withoutLeapsMs(clocks.monotonicMs, hour);
  assert.equal(shown(), undefined);
  const trueMs = clocks.wallMs;
  clocks.pass(0, -33 * hour).look();
  assert.equal(shown(), trueMs);
  clocks.pass(30 * minute, 40 * minute).look();
  assert.equal(shown(), trueMs + 30 * minute);
  clocks.pass(0, 33 * hour - 10 * minute).look();
  assert.equal(shown(), undefined);
  clocks.pass(0, -33 * hour).look();
  assert.notEqual(shown(), undefined);
  clocks.pass(hour).look();
  assert.equal(shown(), undefined);
});

test("a leap is recent for the requested time; a correction after an hour is another leap", () => {
  const clocks = new Clocks()
    .pass(second, 2 * hour)
    .look()
    .pass(hour - 1)
    .look();
  assert.notEqual(clocks.leaps.recent(clocks.monotonicMs, hour), undefined);
  clocks.pass(1).look();
  assert.equal(clocks.leaps.recent(clocks.monotonicMs, hour), undefined);
  clocks.pass(second, -2 * hour).look();
  assert.ok((clocks.leaps.recent(clocks.monotonicMs, hour)?.byMs ?? 0) < -hour);
});

test("absurd times count as leaps and cause no error", () => {
  const clocks = new Clocks();
  for (const wallMs of [Number.MAX_VALUE, -Number.MAX_VALUE, 0]) {
    clocks.wallMs = wallMs;
    clocks.pass(second, 0).look();
    assert.equal(clocks.leaps.last?.atMs, clocks.monotonicMs);
  }
  clocks.pass(second).look();
  assert.equal(clocks.leaps.last?.atMs, clocks.monotonicMs - second);
});
