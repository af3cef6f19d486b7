/** A full disk: nothing changes, and the same write works once there is space. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorCode } from "../../../../src/lib/disk/disk.ts";
import { openRowStore, type RowDatabase } from "../../../../src/rows/mod.ts";
import { SmallDisk } from "../../../support/disk/small-disk.ts";
import { scratch } from "../../../support/scratch.ts";
import { headOf, put, sampleRow, sampleRows } from "../row-samples.ts";
import { identityOf } from "../row-store-suite.ts";

const identity = identityOf(1);
const isFull = (reason: unknown): boolean => errorCode(reason) === "ENOSPC";

const checkRows = (rows: RowDatabase, version: number): void => {
  for (const id of [1, 500, 1000]) assert.deepEqual(rows.row(id), sampleRow(id, version));
};

test("a write on a full disk changes nothing, and works once there is space", async (t) => {
  using disk = SmallDisk.mount(scratch(t), 8 * 1024 * 1024);
  if (disk === undefined) return t.skip("mounting is not allowed");
  const store = openRowStore(disk.path);
  const all = sampleRows(1, 1000);
  await store.mergeBase(undefined, `${disk.path}/base`, all.map(put), headOf(1, all.length));
  const rows = await store.build(identity, `${disk.path}/base`);
  const changes = all.map(({ id }) => put(sampleRow(id, 1)));
  await rows.write([], headOf(2, all.length));
  disk.fill();
  for (let attempt = 0; attempt < 3; attempt++) {
    await assert.rejects(rows.write(changes, headOf(3, all.length)), isFull);
    assert.equal(rows.head.index, 2);
    checkRows(rows, 0);
  }
  const twice = { from: `${disk.path}/base`, to: `${disk.path}/next` };
  await assert.rejects(store.mergeBase(twice.from, twice.to, changes, headOf(3, all.length)), isFull);
  await assert.rejects(store.build(identityOf(2), `${disk.path}/base`), isFull);
  await rows.close();
  const again = store.open(identity, 2);
  checkRows(again, 0);
  disk.empty();
  await again.write(changes, headOf(3, all.length));
  checkRows(again, 1);
  await store.mergeBase(twice.from, twice.to, changes, headOf(3, all.length));
  await (await store.build(identityOf(2), twice.to)).close();
  assert.deepEqual(store.generations(), [1, 2]);
  await again.close();
  await store.close();
});

test("a write that fills the disk gives the space back", async (t) => {
  using disk = SmallDisk.mount(scratch(t), 4 * 1024 * 1024);
  if (disk === undefined) return t.skip("mounting is not allowed");
  const store = openRowStore(disk.path);
  const rows = await store.build(identity, headOf(0, 0));
  await rows.write([put(sampleRow(1))], headOf(1, 1));
  await rows.write([], headOf(1, 1));
  const before = disk.freeBytes;
  const tooMany = Array.from({ length: 200 }, (_, at) => put(sampleRow(at + 2, 0, 100_000)));
  await assert.rejects(rows.write(tooMany, headOf(2, 201)), isFull);
  await rows.close();
  assert.ok(disk.freeBytes > before - 128 * 1024, `${disk.freeBytes} of ${before} bytes are free`);
  await store.close();
});
