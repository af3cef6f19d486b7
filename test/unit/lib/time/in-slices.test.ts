import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce, inSlices } from "../../../../src/lib/time/in-slices.ts";

/** A clock on which each step takes 1 ms. */
function slowClock() {
  let nowMs = 0;
  let turns = 0;
  return {
    monotonicMs: () => nowMs,
    soon: (callback: () => void) => {
      turns++;
      setImmediate(callback);
    },
    step: () => void nowMs++,
    turns: () => turns,
  };
}

function* stepsOf(count: number, step: () => void, ended: () => void): Generator<void, string, undefined> {
  try {
    for (let n = 0; n < count; n++) {
      step();
      yield;
    }
    return "done";
  } finally {
    ended();
  }
}

const nothing = (): void => undefined;

test("steps run in slices of 3 ms, and all at once without a clock", async () => {
  const clock = slowClock();
  assert.equal(await inSlices(clock, stepsOf(9, clock.step, nothing)), "done");
  assert.equal(clock.turns(), 3);
  assert.equal(await inSlices(undefined, stepsOf(9, clock.step, nothing)), "done");
  assert.equal(atOnce(stepsOf(9, clock.step, nothing)), "done");
  assert.equal(clock.turns(), 3);
});

test("steps that are not needed any more are ended, and an error ends them", async () => {
  const clock = slowClock();
  let ended = 0;
  const steps = stepsOf(9, clock.step, () => ended++);
  assert.equal(await inSlices(clock, steps, () => clock.turns() < 2), undefined);
  assert.equal(ended, 1);
  const failing = (): void => {
    throw new Error("no");
  };
  await assert.rejects(
    inSlices(
      clock,
      stepsOf(9, failing, () => ended++),
    ),
    /no/,
  );
  assert.equal(ended, 2);
});
