import assert from "node:assert/strict";
import { test } from "node:test";
import {
  lanTiming,
  pushPullIntervalMs,
  retransmitLimit,
  suspicionBounds,
  suspicionTimeoutMs,
} from "../../../../src/membership/swim/timing.ts";

test("the formulas give memberlist's values", () => {
  assert.deepEqual(
    [1, 2, 9, 10, 99, 100].map((members) => retransmitLimit(lanTiming, members)),
    [4, 4, 4, 8, 8, 12],
  );
  assert.deepEqual(suspicionBounds(lanTiming, 3), { minMs: 4_000, maxMs: 24_000, confirmations: 0 });
  assert.deepEqual(suspicionBounds(lanTiming, 100), { minMs: 8_000, maxMs: 48_000, confirmations: 2 });
  assert.deepEqual(
    [2, 32, 33, 64, 65, 128].map((members) => pushPullIntervalMs(lanTiming, members) / 30_000),
    [1, 1, 2, 2, 3, 3],
  );
});

test("each confirmation shortens a suspicion, down to the minimum", () => {
  const bounds = suspicionBounds(lanTiming, 10);
  const lives = [0, 1, 2, 3].map((confirmed) => Math.round(suspicionTimeoutMs(bounds, confirmed)));
  assert.deepEqual(lives, [24_000, 11_381, 4_000, 4_000]);
  assert.equal(suspicionTimeoutMs(suspicionBounds(lanTiming, 2), 0), 4_000, "no other member could confirm");
});
