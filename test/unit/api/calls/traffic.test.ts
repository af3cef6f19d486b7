import assert from "node:assert/strict";
import { test } from "node:test";
import { latencyBetween, Traffic } from "../../../../src/api/calls/traffic.ts";

test("a percentile between two samples is exact to a quarter of a power of two, without earlier appends", () => {
  const traffic = new Traffic();
  traffic.appended(1, 100, 5000);
  const before = traffic.sample();
  for (let at = 1; at <= 1000; at++) traffic.appended(2, 10, at / 10);
  const after = traffic.sample();
  for (const [share, exact] of [
    [0.5, 50],
    [0.99, 99],
  ] as const) {
    const found = latencyBetween(before, after, share);
    assert.ok(found >= exact && found <= exact * 1.2, `${share}: ${found}`);
  }
  assert.deepEqual([after.recordsIn - before.recordsIn, after.bytesIn - before.bytesIn], [2000, 10_000]);
  assert.equal(latencyBetween(after, traffic.sample(), 0.5), 0);
});

test("a sample is a copy", () => {
  const traffic = new Traffic();
  const sample = traffic.sample();
  traffic.appended(1, 1, 1);
  traffic.sent(3, 4);
  assert.deepEqual([sample.recordsIn, sample.recordsOut, latencyBetween(sample, sample, 1)], [0, 0, 0]);
  assert.deepEqual([traffic.sample().recordsOut, traffic.sample().bytesOut], [3, 4]);
});
