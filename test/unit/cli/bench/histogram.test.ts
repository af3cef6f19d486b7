import assert from "node:assert/strict";
import { test } from "node:test";
import { LatencyHistogram } from "../../../../src/cli/bench/histogram.ts";
import { prng } from "../../../../src/lib/prng.ts";

test("a percentile is never below the true one, and at most 3 % above", () => {
  const chance = prng("histogram");
  const samples = Array.from({ length: 5_000 }, () => 0.002 * 10 ** (chance.float() * 6));
  const histogram = new LatencyHistogram();
  for (const sample of samples) histogram.add(sample);
  const sorted = samples.toSorted((a, b) => a - b);
  for (const share of [0, 0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = sorted[Math.max(0, Math.ceil(share * samples.length) - 1)]!;
    const found = histogram.percentile(share);
    assert.ok(found >= exact && found <= exact * 1.03, `${share}: ${found} for ${exact}`);
  }
  assert.equal(histogram.percentile(1), sorted.at(-1));
  assert.equal(histogram.max, sorted.at(-1));
});

test("a percentile without samples is 0, and a duration of 0 is counted", () => {
  const histogram = new LatencyHistogram();
  assert.equal(histogram.percentile(0.99), 0);
  histogram.add(0);
  assert.deepEqual([histogram.count, histogram.percentile(0.5), histogram.max], [1, 0, 0]);
});
