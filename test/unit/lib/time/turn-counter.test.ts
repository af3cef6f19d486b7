import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { TurnCounter } from "../../../../src/lib/time/turn-counter.ts";

test("each turn of the event loop has its own number", async () => {
  const turns = new TurnCounter(systemClock);
  const first = turns.number;
  await Promise.resolve();
  assert.equal(turns.number, first);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(turns.number, first + 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.notEqual(turns.number, first);
});
