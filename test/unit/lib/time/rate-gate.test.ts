/**
 * The rate gate: so many a second, the rest counted.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RateGate } from "../../../../src/lib/time/rate-gate.ts";

test("a rate gate passes a fixed number in each second and counts the rest", () => {
  const gate = new RateGate(2);
  const passed = [0, 1, 2, 999, 1_000, 1_001, 1_002].map((now) => gate.pass(now));
  assert.deepEqual(passed, [true, true, false, false, true, true, false]);
  assert.equal(gate.takeDropped(), 3);
  assert.equal(gate.takeDropped(), 0);
});
