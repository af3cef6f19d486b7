import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { prng } from "../../../src/lib/prng.ts";
import { findWalDamage, imageOf, readWal } from "../../../src/store/sqlite-wal.ts";
import { scratch } from "../../support/scratch.ts";

const pageBytes = 4096;
/** findWalDamage() on a log in memory. */
const damageIn = (wal: Uint8Array): number | undefined =>
  findWalDamage((target, position) => {
    const found = wal.subarray(position, position + target.length);
    target.set(found);
    return found.length;
  }, pageBytes);
const frameBytes = pageBytes + 24;

/** Databases and logs after each of some transactions, as SQLite wrote them, and what SQLite makes of them. */
function written(home: string, transactions: number) {
  const path = join(home, "x.db");
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(k INTEGER PRIMARY KEY, v)",
  );
  const chance = prng("wal");
  const put = database.prepare("REPLACE INTO t VALUES (?, ?)");
  const states: { rows: string; wal: Uint8Array }[] = [];
  for (let n = 0; n < transactions; n++) {
    // From time to time the log begins again, over its older frames.
    if (n === 10) database.exec("PRAGMA wal_checkpoint(FULL)");
    database.exec("BEGIN");
    for (let k = chance.between(1, 6); k > 0; k--)
      put.run(chance.between(0, 40), "x".repeat(chance.between(0, 9000)));
    database.exec("COMMIT");
    states.push({ rows: rowsOf(database), wal: Uint8Array.from(readFileSync(`${path}-wal`)) });
  }
  const bytes = Uint8Array.from(readFileSync(path));
  database.close();
  return { bytes, states };
}

const rowsOf = (database: DatabaseSync): string =>
  JSON.stringify(database.prepare("SELECT * FROM t ORDER BY k").all());

function rowsIn(bytes: Uint8Array): string {
  bytes.fill(1, 18, 20);
  const database = new DatabaseSync(":memory:");
  try {
    database.deserialize(bytes);
    assert.equal(database.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok");
    return rowsOf(database);
  } finally {
    database.close();
  }
}

test("the image of a database and its log is what SQLite sees, also where the log began again over older frames", (t) => {
  const { bytes, states } = written(scratch(t), 20);
  for (const { rows, wal } of states.slice(10)) {
    const contents = readWal(wal, pageBytes);
    assert.equal(contents.damagedAt, undefined);
    assert.equal(damageIn(wal), undefined);
    assert.ok(contents.pages.size > 0);
    assert.equal(rowsIn(imageOf(bytes, wal, contents, pageBytes)), rows);
  }
});

test("a frame that is damaged before a commit and a further frame is damage; the last transaction may be torn", (t) => {
  const { states } = written(scratch(t), 20);
  const { wal } = states.at(-1)!;
  const whole = readWal(wal, pageBytes);
  const last = Math.max(...whole.pages.values());
  // The position behind the commit before the last one.
  const before = readWal(states.at(-2)!.wal, pageBytes);
  const lastBegins = Math.max(...before.pages.values()) + pageBytes;
  let damaged = 0;
  for (let at = 32; at < last; at += frameBytes) {
    const bytes = Uint8Array.from(wal);
    bytes[at + 24 + 100]! ^= 1;
    const found = readWal(bytes, pageBytes);
    assert.equal(damageIn(bytes), found.damagedAt);
    if (found.damagedAt !== undefined) {
      assert.equal(found.damagedAt, at);
      damaged++;
    } else assert.ok(at + 2 * frameBytes > lastBegins - 12 * frameBytes, `frame at ${at}`);
    if (at >= lastBegins) assert.equal(found.damagedAt, undefined);
  }
  assert.ok(damaged > 5, `${damaged}`);
});

test("a log without a valid header, of another page size, or of zeros is empty", (t) => {
  const { states } = written(scratch(t), 3);
  const { wal } = states.at(-1)!;
  const header = Uint8Array.from(wal);
  header[17]! ^= 4;
  for (const bytes of [new Uint8Array(0), new Uint8Array(1 << 20), wal.subarray(0, 31), header]) {
    assert.equal(readWal(bytes, pageBytes).pages.size, 0);
    assert.equal(damageIn(bytes), undefined);
  }
  assert.equal(readWal(wal, 8192).pages.size, 0);
});

test("damage is found in a log that is longer than what is read at once", (t) => {
  const path = join(scratch(t), "x.db");
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(k INTEGER PRIMARY KEY, v)",
  );
  const put = database.prepare("REPLACE INTO t VALUES (?, zeroblob(?))");
  for (let k = 0; k < 8; k++) put.run(k, 400_000);
  const wal = Uint8Array.from(readFileSync(`${path}-wal`));
  database.close();
  assert.ok(wal.length > 3_000_000);
  assert.equal(damageIn(wal), undefined);
  for (const frame of [0, 255, 256, 257, 600]) {
    const at = 32 + frame * frameBytes;
    const bytes = Uint8Array.from(wal);
    bytes[at + 2000]! ^= 8;
    assert.equal(damageIn(bytes), at);
    assert.equal(readWal(bytes, pageBytes).damagedAt, at);
  }
});
