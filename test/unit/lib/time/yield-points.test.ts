import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { YieldPoints } from "../../../../src/lib/time/yield-points.ts";

test("short work continues, long work waits for a later turn of the event loop", async () => {
  let nowMs = 0;
  const yieldPoints = new YieldPoints({ ...systemClock, monotonicMs: () => nowMs });
  nowMs += 7;
  assert.equal(yieldPoints.next(), undefined);
  nowMs += 1;
  let others = 0;
  setImmediate(() => others++);
  const later = yieldPoints.next();
  assert.ok(later !== undefined);
  await later;
  assert.equal(others, 1);
  assert.equal(yieldPoints.next(), undefined, "a new piece has begun");
});
