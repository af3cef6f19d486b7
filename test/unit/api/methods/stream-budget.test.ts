import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamBudget } from "../../../../src/api/methods/stream-budget.ts";

test("one stream may have many bytes in flight; when all streams have too many, each may have few", () => {
  const budget = new StreamBudget({ totalBytesMax: 20_000, streamBytesMax: 10_000, streamBytesMin: 2_000 });
  const [a, b, c] = [budget.open(), budget.open(), budget.open()];
  a.begin(9_000);
  assert.equal(a.isFull, false);
  a.begin(1_000);
  assert.equal(a.isFull, true);
  b.begin(7_000);
  c.begin(1_000);
  assert.deepEqual([b.isFull, c.isFull], [false, false]);
  c.begin(1_000);
  assert.deepEqual([b.isFull, c.isFull], [true, true]);
  a.end(9_000);
  assert.deepEqual([a.isFull, b.isFull, c.isFull], [false, false, false]);
  for (const share of [a, b, c]) share[Symbol.dispose]();
  assert.equal(budget.bytes, 0);
  // An append that settles after the end of its stream no longer counts.
  b.end(7_000);
  assert.equal(budget.bytes, 0);
});
