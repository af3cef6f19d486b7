/** The waits between attempts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "../../../../src/client/calls/backoff.ts";
import { prng } from "../../../../src/lib/prng.ts";

const settings = { firstMs: 50, maxMs: 2_000 };

test("the upper limit of a wait doubles up to the maximum, and a wait is at least half of it", () => {
  const chance = prng("backoff");
  for (const [failures, limitMs] of [
    [1, 50],
    [2, 100],
    [6, 1_600],
    [7, 2_000],
    [1_000, 2_000],
  ] as const) {
    for (let round = 0; round < 100; round++) {
      const waitMs = backoffMs(settings, failures, chance);
      assert.ok(waitMs >= limitMs / 2 && waitMs <= limitMs, `${failures} failures: ${waitMs} ms`);
    }
  }
});

test("a wait is at least what the node asked for", () => {
  assert.equal(backoffMs(settings, 1, prng("backoff"), 5_000), 5_000);
});
