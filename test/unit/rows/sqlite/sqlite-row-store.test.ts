/** The store on the machine's disk. */
import assert from "node:assert/strict";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { systemDisk } from "../../../../src/lib/disk/system-disk.ts";
import { openRowStore, removeUnfinished } from "../../../../src/rows/mod.ts";
import { scratch } from "../../../support/scratch.ts";
import { headOf, put, sampleRow, sampleRows } from "../row-samples.ts";
import { identityOf, rowStoreSuite } from "../row-store-suite.ts";

rowStoreSuite("on the disk", (t) => {
  const directory = scratch(t);
  return { store: openRowStore(directory), path: (name) => `${directory}/${name}.rows` };
});

test("after each write the write-ahead log is moved into the database, while rows are read", async (t) => {
  const directory = scratch(t);
  const store = openRowStore(directory);
  const rows = await store.build(identityOf(1), headOf(0, 0));
  await rows.write(sampleRows(1, 2000).map(put), headOf(1, 2000));
  let isWriting = true;
  const read = (): void => {
    for (let id = 1; id <= 20; id++) rows.row(id);
    if (isWriting) setImmediate(read);
  };
  read();
  for (let index = 2; index < 8; index++) {
    await rows.write([put(sampleRow(index, index))], headOf(index, 2000));
    assert.deepEqual(rows.row(index), sampleRow(index, index));
  }
  isWriting = false;
  await rows.close();
  await store.close();
  const sizes = readdirSync(directory).map((file) => [file, statSync(`${directory}/${file}`).size] as const);
  assert.equal(new Map(sizes).get("logs-1.db-wal") ?? 0, 0);
  assert.ok(!sizes.some(([file]) => file.endsWith(".new")));
});

test("a large id, a large time and the longest name are stored", async (t) => {
  const store = openRowStore(scratch(t));
  const rows = await store.build(identityOf(2 ** 40), headOf(2 ** 52, 0));
  const row = {
    id: 2 ** 32 - 1,
    name: `${"😀".repeat(63)}abc`,
    dueMs: 2 ** 52,
    value: new Uint8Array(1024 * 1024).fill(9),
  };
  await rows.write([put(row)], headOf(2 ** 52, 1));
  assert.deepEqual(rows.row(row.id), row);
  assert.deepEqual(rows.named(row.name), row);
  assert.deepEqual(rows.due(2 ** 53 - 1, undefined, 1), [{ dueMs: 2 ** 52, id: row.id }]);
  await rows.close();
  await store.close();
});

test("a build writes no journal, and a start removes what a killed build left", async (t) => {
  const directory = scratch(t);
  const store = openRowStore(directory);
  const from = `${directory}/1.rows`;
  await store.mergeBase(undefined, from, sampleRows(1, 20_000).map(put), headOf(1, 20_000));
  const seen = new Set<string>();
  const building = store.build(identityOf(1), from);
  let isBuilding = true;
  void building.finally(() => (isBuilding = false));
  while (isBuilding) {
    for (const file of readdirSync(directory)) seen.add(file);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await (await building).close();
  await store.close();
  assert.ok(seen.has("logs-1.db.new"));
  assert.ok(!seen.has("logs-1.db.new-journal"));
  for (const file of ["logs-2.db.new", "logs-2.db.new-journal"]) writeFileSync(`${directory}/${file}`, "");
  removeUnfinished(directory);
  assert.deepEqual(
    readdirSync(directory).filter((file) => /new|logs-2/.test(file)),
    [],
  );
  assert.deepEqual(openRowStore(directory).generations(), [1]);
});

test("the worker removes a database: the event loop does not wait for the file system", async (t) => {
  const directory = scratch(t);
  const store = openRowStore(directory);
  await (await store.build(identityOf(1), headOf(0, 0))).close();
  const removedHere = t.mock.method(systemDisk, "remove");
  await store.remove(1);
  await store.close();
  assert.deepEqual(store.generations(), []);
  assert.equal(removedHere.mock.callCount(), 0);
});
