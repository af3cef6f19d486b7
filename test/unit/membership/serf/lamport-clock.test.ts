import assert from "node:assert/strict";
import { test } from "node:test";
import { LamportClock } from "../../../../src/membership/serf/lamport-clock.ts";

test("a witnessed time moves the clock past it, and an earlier one does not move it", () => {
  const clock = new LamportClock(5);
  assert.equal(clock.witness(9), true);
  assert.equal(clock.time, 10);
  assert.equal(clock.witness(3), true);
  assert.equal(clock.time, 10);
  assert.equal(clock.increment(), 11);
});

test("a time from gossip that is more than 2^32 ahead is refused", () => {
  const clock = new LamportClock(1);
  assert.equal(clock.witness(2 ** 32 + 2), false);
  assert.equal(clock.time, 1);
  assert.equal(clock.witness(2 ** 32 + 1), true);
});

test("the reply to an exchange moves the clock up to 2^47", () => {
  const clock = new LamportClock(1);
  clock.witnessReply(2 ** 47 + 1);
  assert.equal(clock.time, 1);
  clock.witnessReply(2 ** 47);
  assert.equal(clock.time, 2 ** 47 + 1);
});
