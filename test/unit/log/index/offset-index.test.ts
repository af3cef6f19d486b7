import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ActiveIndex,
  firstAtOrAfter,
  lastAtOrBefore,
  wholeBatchBytes,
} from "../../../../src/log/index/offset-index.ts";

const base = { index: 1, offset: 0, timestampMs: 0 };

test("entries are found by ordinal, by offset and by time", () => {
  const index = new ActiveIndex(base);
  assert.equal(lastAtOrBefore(index, 0), -1);
  for (let n = 0; n < 100; n++) index.append(3 * n, 10 * n, 1, 5 * n);
  for (let n = 0; n < 100; n++) {
    assert.deepEqual([index.offset(n), index.position(n), index.timestampMs(n)], [3 * n, 10 * n, 5 * n]);
    assert.equal(lastAtOrBefore(index, 3 * n + 2), n);
    assert.equal(firstAtOrAfter(index, 5 * n - 4), n);
  }
  assert.equal(firstAtOrAfter(index, 1000), 100);
});

const index = new ActiveIndex({ index: 1, offset: 0, timestampMs: 0 });
for (const [k, position] of [0, 100, 250, 900].entries()) index.append(k, position, 1, 0);

test("a read takes as many whole batches as fit, up to the end of the store", () => {
  assert.equal(wholeBatchBytes(index, 0, 250, 1000), 250);
  assert.equal(wholeBatchBytes(index, 0, 899, 1000), 250);
  assert.equal(wholeBatchBytes(index, 0, 900, 1000), 900);
  assert.equal(wholeBatchBytes(index, 0, 999, 1000), 900);
  assert.equal(wholeBatchBytes(index, 0, 1000, 1000), 1000);
  assert.equal(wholeBatchBytes(index, 3, 5000, 1000), 100);
});

test("a read takes one batch if it does not fit", () => {
  assert.equal(wholeBatchBytes(index, 0, 1, 1000), 100);
  assert.equal(wholeBatchBytes(index, 2, 10, 1000), 650);
  assert.equal(wholeBatchBytes(index, 3, 10, 1000), 100);
});
