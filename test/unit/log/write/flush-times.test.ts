import assert from "node:assert/strict";
import { test } from "node:test";
import { FlushTimes } from "../../../../src/log/write/flush-times.ts";

test("a flush is found by each index that it writes, and its syncs are added up", () => {
  const times = new FlushTimes();
  times.synced(99);
  times.began(5, 7, 100);
  times.synced(10);
  times.synced(20);
  times.ended(150);
  times.synced(99);
  const flush = { firstIndex: 5, lastIndex: 7, beganMs: 100, syncMs: 30, endedMs: 150 };
  for (const index of [5, 6, 7]) assert.deepEqual(times.of(index), flush);
  for (const index of [4, 8, Number.POSITIVE_INFINITY]) assert.equal(times.of(index), undefined);
});

test("a flush under way has no end, and one that was refused began with its first try", () => {
  const times = new FlushTimes();
  times.began(5, 5, 100);
  assert.equal(times.of(5)?.endedMs, undefined);
  times.began(5, 6, 200);
  assert.deepEqual(times.of(6), { firstIndex: 5, lastIndex: 6, beganMs: 100, syncMs: 0, endedMs: undefined });
  times.ended(300);
  assert.equal(times.of(5)?.endedMs, 300);
});

test("a flush that the disk refused is forgotten if its frames were cut off", () => {
  const times = new FlushTimes();
  times.began(5, 9, 100);
  times.synced(70);
  times.began(4, 5, 900);
  const flush = { firstIndex: 4, lastIndex: 5, beganMs: 900, syncMs: 0, endedMs: undefined };
  assert.deepEqual(times.of(5), flush);
});

test("an index that was written again belongs to the last flush that wrote it", () => {
  const times = new FlushTimes();
  times.began(5, 9, 100);
  times.ended(110);
  times.began(7, 7, 200);
  times.ended(210);
  assert.deepEqual([times.of(6)?.beganMs, times.of(7)?.beganMs], [100, 200]);
});

test("only the last flushes are kept", () => {
  const times = new FlushTimes();
  for (let index = 1; index <= 100; index++) {
    times.began(index, index, index);
    times.ended(index);
  }
  const known = Array.from({ length: 100 }, (_, at) => times.of(at + 1)).filter((one) => one !== undefined);
  assert.deepEqual([known.length, known[0]?.lastIndex], [16, 85]);
});
