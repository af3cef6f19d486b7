import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RunList } from "../../soak/run-list.ts";

const listOf = (...records: readonly (readonly [offset: number, sequence: number])[]): RunList => {
  const list = new RunList();
  for (const [offset, sequence] of records) list.add(offset, sequence);
  return list;
};

test("consecutive records are one run, in whatever order they are added", () => {
  const offsets = fc.uniqueArray(fc.nat(30), { maxLength: 31 });
  fc.assert(
    fc.property(offsets, (order) => {
      const list = listOf(...order.map((offset) => [offset, offset + 5] as const));
      const sorted = order.toSorted((a, b) => a - b);
      const starts = sorted.filter((offset, n) => n === 0 || sorted[n - 1] !== offset - 1);
      assert.deepEqual(
        list.runs.map(({ offset }) => offset),
        starts,
      );
      const all = list.runs.flatMap(({ offset, sequence, count }) =>
        Array.from({ length: count }, (_, n) => [offset + n, sequence + n]),
      );
      assert.deepEqual(
        all,
        sorted.map((offset) => [offset, offset + 5]),
      );
    }),
  );
});

test("a record whose offset is there already is refused", () => {
  const list = listOf([0, 0], [1, 1], [5, 9]);
  assert.equal(list.add(1, 7), false);
  assert.equal(list.add(5, 9), false);
  assert.equal(list.next, 6);
});

test("records with other sequences begin a run of their own", () => {
  assert.deepEqual(listOf([0, 0], [1, 1], [2, 3], [3, 4]).runs, [
    { offset: 0, sequence: 0, count: 2 },
    { offset: 2, sequence: 3, count: 2 },
  ]);
});

test("what another list lacks, or has with other sequences, is missing", () => {
  const acked = listOf([0, 0], [1, 1], [2, 2], [3, 3], [4, 4]);
  assert.deepEqual(acked.missingIn(acked), []);
  assert.deepEqual(acked.missingIn(listOf([0, 0], [1, 1], [3, 3])), [
    { offset: 2, sequence: 2, count: 1 },
    { offset: 4, sequence: 4, count: 1 },
  ]);
  assert.deepEqual(acked.missingIn(listOf([0, 0], [1, 1], [2, 9], [3, 10], [4, 4])), [
    { offset: 2, sequence: 2, count: 2 },
  ]);
  assert.deepEqual(acked.missingIn(listOf([4, 4]), 3), [{ offset: 3, sequence: 3, count: 1 }]);
  assert.deepEqual(acked.missingIn(listOf([4, 4]), 4), []);
});
