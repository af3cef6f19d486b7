import assert from "node:assert/strict";
import { test } from "node:test";
import { progressAt } from "../../../../src/agent/cluster/log-progress.ts";
import type { Replica } from "../../../../src/replication/mod.ts";

/** A log whose entry at index n ends before the offset 10 n, with the records 0 to 49. */
const log = {
  offsetAfter: (index: number) => 10 * index,
  bounds: { lowest: 0, next: 50 },
} as Replica["storedLog"];

test("the lag is what the leader has and the member does not, and never negative", () => {
  assert.deepEqual(progressAt(log, 3), { commitIndex: 3, lastOffset: 29, lag: 20 });
  assert.deepEqual(progressAt(log, 5), { commitIndex: 5, lastOffset: 49, lag: 0 });
  assert.equal(progressAt(log, 6).lag, 0);
});

test("a member without a record has the last offset 0", () => {
  assert.deepEqual(progressAt(log, 0), { commitIndex: 0, lastOffset: 0, lag: 50 });
});
