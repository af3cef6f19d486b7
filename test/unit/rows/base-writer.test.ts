/** Base files: what is written is read, and a crash leaves the old file or the new one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { prng } from "../../../src/lib/prng.ts";
import { openBase } from "../../../src/rows/base-reader.ts";
import { mergeBase, type RowChange, type StoredRow } from "../../../src/rows/mod.ts";
import { SimDisk } from "../../support/disk/sim-disk.ts";
import { deleted, headOf, put, sampleRow, sampleRows } from "./row-samples.ts";

const path = (index: number): string => `/log/${String(index).padStart(20, "0")}.rows`;

function newDisk(seed = 1): SimDisk {
  const disk = new SimDisk(prng(seed));
  disk.makeDirectory("/log");
  return disk;
}

function merge(
  disk: SimDisk,
  from: number | undefined,
  to: number,
  changes: readonly RowChange[],
  count: number,
): void {
  const old = from === undefined ? undefined : path(from);
  for (const _ of mergeBase(disk, old, path(to), changes, headOf(to, count)));
}

function readAll(disk: SimDisk, index: number): StoredRow[] {
  const base = openBase(disk, path(index));
  try {
    assert.deepEqual(base.head, headOf(index, base.head.count));
    return [...base.blocks()].flat();
  } finally {
    base.close();
  }
}

test("a base file without rows has its head", () => {
  const disk = newDisk();
  merge(disk, undefined, 7, [], 0);
  assert.deepEqual(readAll(disk, 7), []);
});

test("a merge replaces, adds and deletes rows", () => {
  const disk = newDisk();
  const rows = sampleRows(10, 5000);
  merge(disk, undefined, 1, rows.map(put), rows.length);
  assert.deepEqual(readAll(disk, 1), rows);
  const changes = [
    put(sampleRow(2)),
    deleted(10),
    put(sampleRow(11, 1)),
    deleted(3000),
    deleted(7000),
    put(sampleRow(9000)),
  ];
  merge(disk, 1, 2, changes, 5000);
  const kept = rows.filter(({ id }) => ![10, 11, 3000].includes(id));
  assert.deepEqual(readAll(disk, 2), [sampleRow(2), sampleRow(11, 1), ...kept, sampleRow(9000)]);
});

test("a row is found by its id, and its absence", () => {
  const disk = newDisk();
  const rows = sampleRows(0, 4000).filter(({ id }) => id % 5 !== 3);
  merge(disk, undefined, 1, rows.map(put), rows.length);
  const base = openBase(disk, path(1));
  for (let id = 0; id < 4005; id++) {
    assert.deepEqual(base.row(id), id % 5 === 3 || id >= 4000 ? undefined : sampleRow(id));
  }
  base.close();
});

test("ids that do not ascend and a wrong count are refused, and no file is left", () => {
  const disk = newDisk();
  const why = (wanted: string) => (reason: unknown) =>
    reason instanceof Fault && reason.kind === "corrupt" && reason.facts.why === wanted;
  assert.throws(() => merge(disk, undefined, 1, [put(sampleRow(2)), put(sampleRow(2))], 2), why("order"));
  assert.throws(() => merge(disk, undefined, 1, [put(sampleRow(2))], 2), why("count"));
  assert.deepEqual(disk.list("/log"), []);
});

test("a merge that is not continued leaves no file", () => {
  const disk = newDisk();
  for (const _ of mergeBase(disk, undefined, path(1), sampleRows(0, 5000).map(put), headOf(1, 5000))) break;
  assert.deepEqual(disk.list("/log"), []);
});

test("a power cut at any operation leaves the whole new file or none", () => {
  const rows = sampleRows(0, 3000);
  for (let at = 0, isDone = false; !isDone; at++) {
    const disk = newDisk(at);
    merge(disk, undefined, 1, rows.map(put), rows.length);
    disk.crashAfter(at);
    try {
      merge(disk, 1, 2, [put(sampleRow(5000))], 3001);
      isDone = true;
    } catch {
      // The power cut.
    }
    disk.crash();
    assert.equal(readAll(disk, 1).length, 3000);
    if (isDone || disk.exists(path(2))) assert.equal(readAll(disk, 2).length, 3001);
    if (isDone) continue;
    merge(disk, 1, 2, [put(sampleRow(5000))], 3001);
    assert.equal(readAll(disk, 2).length, 3001);
  }
});
