import assert from "node:assert/strict";
import { test } from "node:test";
import {
  incarnationMax,
  isForged,
  isPlausibleAccusation,
  isPlausibleAlive,
} from "../../../../src/membership/swim/incarnation.ts";

const reserved = incarnationMax - 2 ** 20 + 1;

test("suspect and dead messages do not raise an incarnation into the reserved range", () => {
  assert.equal(isPlausibleAccusation(reserved - 1, 1), true);
  assert.equal(isPlausibleAccusation(reserved, 1), false);
  assert.equal(isPlausibleAccusation(reserved, reserved), true, "the member is there already");
});

test("in the reserved range an alive message may be ahead by the missed refutations only", () => {
  assert.equal(isPlausibleAlive(reserved - 1, 1), true);
  assert.equal(isPlausibleAlive(reserved, 1), false);
  assert.equal(isPlausibleAlive(reserved + 1_024, reserved), true);
  assert.equal(isPlausibleAlive(reserved + 1_025, reserved), false);
  assert.equal(isPlausibleAlive(incarnationMax, undefined), true, "there is nothing to compare");
  assert.equal(isPlausibleAlive(incarnationMax + 1, undefined), false);
});

test("an incarnation in the reserved range counts as forged", () => {
  assert.deepEqual([1, reserved - 1, reserved, incarnationMax].map(isForged), [false, false, true, true]);
});
