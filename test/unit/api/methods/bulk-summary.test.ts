import assert from "node:assert/strict";
import { test } from "node:test";
import { BulkSummary } from "../../../../src/api/methods/bulk-summary.ts";

const bounds = async () => ({ lowest: 0, next: 9 });
const appended = (firstOffset: number, count: number, logId?: number) => ({
  firstOffset,
  count,
  timestampMs: 1,
  duplicate: false,
  ...(logId === undefined ? {} : { logId }),
});

test("a summary spans the first to the last batch", async () => {
  const summary = new BulkSummary();
  summary.add(appended(4, 3));
  summary.add(appended(10, 2));
  assert.deepEqual(summary.progress, { records_before: 5, batches_before: 2 });
  const { firstOffset, records, batches, nextOffset } = await summary.done({ bounds });
  assert.deepEqual([firstOffset, records, batches, nextOffset], [4, 5, 2, 12]);
});

test("a summary without batches is empty and at the end of the log", async () => {
  const { firstOffset, records, batches, nextOffset } = await new BulkSummary().done({ bounds });
  assert.deepEqual([firstOffset, records, batches, nextOffset], [9, 0, 0, 9]);
});

test("a summary of several logs has no offsets and no id", async () => {
  const one = new BulkSummary();
  one.add(appended(4, 1, 7));
  one.add(appended(5, 1, 7));
  assert.deepEqual([one.logId, one.firstOffset, one.nextOffset], [7, 4, 6]);
  one.add(appended(9, 2));
  one.add(appended(6, 1, 7));
  assert.deepEqual([one.logId, one.firstOffset, one.nextOffset], [undefined, 0, 0]);
  assert.deepEqual([one.records, one.batches], [5, 4]);
});
