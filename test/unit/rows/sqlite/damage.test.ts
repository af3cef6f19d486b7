/** Damage of a database and of its write-ahead log: no wrong row, and no row that is missing without an error. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { systemDisk } from "../../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { openRowStore, type StoredRow } from "../../../../src/rows/mod.ts";
import { RowWriter } from "../../../../src/rows/sqlite/row-writer.ts";
import { scratch } from "../../../support/scratch.ts";
import { type Expected, flipTrials } from "../flip-trials.ts";
import { headOf, put, sampleRow, sampleRows } from "../row-samples.ts";
import { identityOf, isDamage } from "../row-store-suite.ts";

const identity = identityOf(1);
const name = "logs-1.db";
const trials = Number(process.env["TRIALS"] ?? 100);

const expectedOf = (index: number, all: readonly StoredRow[]): Expected => ({
  identity,
  index,
  rows: new Map(all.map((row) => [row.id, row])),
  names: all.map((row) => row.name).sort(),
  absentIds: [0, 301, 1000],
  absentNames: ["", "a", "orders/1", "z"],
});

/** A closed database of 300 rows with index 5 in the directory `whole`, and an empty directory `flipped`. */
async function prepare(t: TestContext): Promise<{ whole: string; flipped: string; rows: StoredRow[] }> {
  const home = scratch(t);
  const [whole, flipped] = [`${home}/whole`, `${home}/flipped`];
  for (const directory of [whole, flipped]) mkdirSync(directory);
  const store = openRowStore(whole);
  const rows = sampleRows(1, 300);
  await store.mergeBase(undefined, `${home}/base`, rows.map(put), headOf(5, rows.length));
  await (await store.build(identity, `${home}/base`)).close();
  await store.close();
  return { whole, flipped, rows };
}

/** Writes six transactions to the write-ahead log of `whole`, and copies the files to `to`. Returns the rows after them. */
function writeLog(whole: string, to: string, rows: readonly StoredRow[]): StoredRow[] {
  const after = [...rows];
  const writer = new RowWriter(systemDisk, `${whole}/${name}`);
  for (let index = 6; index <= 11; index++) {
    const changed = [0, 150, 299].map((at) => sampleRow(rows[at + (at === 0 ? index : -index)]!.id, index));
    for (const row of changed) after[row.id - 1] = row;
    writer.write(identity, { rows: changed.map(put), owners: [] }, headOf(index, rows.length));
  }
  for (const ending of ["", "-wal"]) copyFileSync(`${whole}/${name}${ending}`, `${to}/${name}${ending}`);
  writer.close();
  return after;
}

test("a flipped bit in the database gives no wrong row and hides none", async (t) => {
  const { whole, flipped, rows } = await prepare(t);
  const result = flipTrials(whole, flipped, expectedOf(5, rows), "", trials, prng("database"));
  t.diagnostic(JSON.stringify(result));
  assert.ok(result.refusedReads > trials / 5, "many trials are found by a read");
});

test("a flipped bit in the write-ahead log gives no wrong row and hides none", async (t) => {
  const { whole, flipped, rows } = await prepare(t);
  const copied = `${whole}/copied`;
  mkdirSync(copied);
  const after = writeLog(whole, copied, rows);
  const result = flipTrials(copied, flipped, expectedOf(11, after), "-wal", trials, prng("log"));
  t.diagnostic(JSON.stringify(result));
  assert.ok(result.refused > trials * 0.9, "nearly all are refused at the open");
});

test("a transaction in the middle of the write-ahead log is damage, a torn last one is not", async (t) => {
  const { whole, flipped, rows } = await prepare(t);
  writeLog(whole, flipped, rows);
  const wal = readFileSync(`${flipped}/${name}-wal`);
  const store = openRowStore(flipped);
  wal[4000]! ^= 1;
  writeFileSync(`${flipped}/${name}-wal`, wal);
  assert.throws(() => store.open(identity, 0), isDamage("wal"));
  wal[4000]! ^= 1;
  writeFileSync(`${flipped}/${name}-wal`, wal.subarray(0, wal.length - 100));
  assert.throws(() => store.open(identity, 11), isDamage("rolled-back"));
  const found = store.open(identity, 10);
  assert.equal(found.head.index, 10);
  await found.close();
});

test("an older copy, a short file, another schema and another page size are refused", async (t) => {
  const { whole, flipped, rows } = await prepare(t);
  const [path, copy] = [`${whole}/${name}`, `${flipped}/${name}`];
  copyFileSync(path, copy);
  const store = openRowStore(flipped);
  assert.throws(() => store.open(identity, 6), isDamage("rolled-back"));
  truncateSync(copy, 99);
  assert.throws(() => store.open(identity, 0), isDamage("header"));
  truncateSync(copy, 0);
  assert.throws(() => store.open(identity, 0), isDamage("header"));
  const bytes = readFileSync(path);
  for (const at of [16, 19]) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 2;
    writeFileSync(copy, changed);
    assert.throws(() => store.open(identity, 0), isDamage("header"));
  }
  writeFileSync(copy, bytes);
  const other = new DatabaseSync(copy);
  other.exec("DROP INDEX names_again; CREATE INDEX names_again ON rows(id)");
  other.close();
  assert.throws(() => store.open(identity, 0), isDamage("schema"));
  // The first half: some rows are there, the others are refused.
  writeFileSync(copy, bytes.subarray(0, bytes.length / 2));
  let refused = 0;
  try {
    const found = store.open(identity, 0);
    for (const row of rows) {
      try {
        assert.deepEqual(found.row(row.id), row);
      } catch (reason) {
        if (!isDamage("pages")(reason)) throw reason;
        refused++;
      }
    }
    await found.close();
  } catch (reason) {
    if (!isDamage("pages")(reason)) throw reason;
    refused = rows.length;
  }
  assert.ok(refused > 0);
});

test("a scrub finds a row that differs from its checksum, and one that a tree lacks", async (t) => {
  const { whole, flipped } = await prepare(t);
  const [path, copy] = [`${whole}/${name}`, `${flipped}/${name}`];
  const damage = [
    ["UPDATE rows SET value = zeroblob(64) WHERE id = 250", "row"],
    ["UPDATE rows SET name = 'other' WHERE id = 250", "row"],
    ["UPDATE rows SET due = 5 WHERE id = 250", "row"],
    ["DELETE FROM rows WHERE id = 250", "count"],
  ] as const;
  for (const [statement, why] of damage) {
    copyFileSync(path, copy);
    const database = new DatabaseSync(copy);
    database.exec(statement);
    database.close();
    const store = openRowStore(flipped);
    const rows = store.open(identity, 5);
    await assert.rejects(rows.scrub(-1), isDamage(why));
    await rows.close();
    await store.close();
  }
  const bytes = readFileSync(path);
  const inRow = bytes.lastIndexOf(sampleRow(250).name);
  const inTree = bytes.indexOf(sampleRow(250).name);
  assert.notEqual(inRow, inTree);
  for (const at of [inRow, inTree]) {
    const changed = Buffer.from(bytes);
    changed[at + 8]! ^= 1;
    writeFileSync(copy, changed);
    const store = openRowStore(flipped);
    const rows = store.open(identity, 5);
    await assert.rejects(rows.scrub(-1), isDamage("row"));
    await rows.close();
    await store.close();
  }
});
