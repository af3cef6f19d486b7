import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { openStableStore, openToRepair } from "../../../src/store/mod.ts";
import { readWal } from "../../../src/store/sqlite-wal.ts";
import { SmallDisk } from "../../support/disk/small-disk.ts";
import { scratch } from "../../support/scratch.ts";

const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";
const vote = { term: 4, vote: 2 ** 47 + 1 };
const boot = { life: 1, count: 2, nonce: "00000000000000aa", earlier: ["00000000000000bb"] };

/** A store with a vote, a boot number and rows; closed. */
async function made(meta: string): Promise<void> {
  const store = openStableStore(meta);
  store.write({ "raft/state": vote, "boot/own": boot, "cluster-id": "c", "log/segment/1": { a: [1] } });
  store.write({ "raft/configuration/0": { voters: [1] } });
  await store.close();
}

test("votes, boot numbers and rows are one map", async (t) => {
  const meta = scratch(t);
  await made(meta);
  const store = openStableStore(meta);
  assert.deepEqual(store.keys(""), [
    "boot/own",
    "cluster-id",
    "log/segment/1",
    "raft/configuration/0",
    "raft/state",
  ]);
  assert.deepEqual(store.keys("raft/"), ["raft/configuration/0", "raft/state"]);
  assert.deepEqual([store.get("raft/state"), store.get("boot/own")], [vote, boot]);
  store.write({ "boot/own": undefined });
  assert.deepEqual([store.get("raft/state"), store.get("boot/own")], [vote, undefined]);
  await store.close();
});

test("a store that is opened, read and closed has the bytes that it had", async (t) => {
  const meta = scratch(t);
  await made(meta);
  const bytes = () =>
    readdirSync(meta).map((name) => [name, readFileSync(join(meta, name)).toString("latin1")]);
  const before = bytes();
  for (const store of [openStableStore(meta), openToRepair(meta, { readOnly: true })]) {
    assert.equal(store.keys("").length, 5);
    await store.close();
  }
  assert.deepEqual(bytes(), before);
});

test("a missing vote file, a missing database and a database older than its receipt are damage", async (t) => {
  for (const [lost, message] of [
    ["vote", /vote is damaged .*missing/],
    ["state.db", /state\.db is damaged .*missing/],
  ] as const) {
    const meta = scratch(t);
    await made(meta);
    rmSync(join(meta, lost));
    const left = readdirSync(meta);
    assert.throws(() => openStableStore(meta), { kind: "corrupt", message });
    // What a start refuses, a repair can examine.
    await openToRepair(meta, { readOnly: true }).close();
    assert.deepEqual(readdirSync(meta), left);
    const repaired = openToRepair(meta, { readOnly: false });
    repaired.write({ more: 1 });
    await repaired.close();
    const again = openStableStore(meta);
    assert.equal(again.get("more"), 1);
    await again.close();
  }
  const meta = scratch(t);
  await made(meta);
  const older = readFileSync(join(meta, "state.db"));
  const store = openStableStore(meta);
  store.write({ "cluster-id": "d" });
  await store.close();
  writeFileSync(join(meta, "state.db"), older);
  assert.throws(() => openStableStore(meta), /its last writes are gone/);
  const repaired = openToRepair(meta, { readOnly: false });
  assert.equal(repaired.whole, false);
  repaired.write({ more: 1 });
  await repaired.close();
  assert.deepEqual(readFileSync(join(meta, "state.db.cut")), older);
  const again = openStableStore(meta);
  assert.deepEqual([again.get("more"), again.get("cluster-id"), again.get("raft/state")], [1, "c", vote]);
  await again.close();
});

test("a database behind a symbolic link has its write-ahead log beside the file that the link leads to", async (t) => {
  const home = scratch(t);
  const meta = join(home, "a", "meta");
  mkdirSync(meta, { recursive: true });
  await made(meta);
  renameSync(join(meta, "state.db"), join(home, "a", "moved.db"));
  symlinkSync("../moved.db", join(meta, "state.db"));
  const store = openStableStore(meta);
  store.write({ more: 1 });
  // As a process leaves it that is killed.
  cpSync(join(home, "a"), join(home, "b"), { recursive: true, verbatimSymlinks: true });
  await store.close();
  const again = openStableStore(join(home, "b", "meta"));
  assert.equal(again.get("more"), 1);
  await again.close();
});

test("a write-ahead log that a killed process left is moved into the database before a vote is written", async (t) => {
  const meta = scratch(t);
  const store = openStableStore(meta);
  store.write({ a: 1, b: "x".repeat(9000) });
  const left = readdirSync(meta).map((name) => [name, readFileSync(join(meta, name))] as const);
  await store.close();
  for (const [name, bytes] of left) writeFileSync(join(meta, name), bytes);
  const frames = (): number => readWal(readFileSync(join(meta, "state.db-wal")), 4096).pages.size;
  assert.ok(frames() > 0);
  const next = openStableStore(meta);
  assert.equal(next.get("a"), 1);
  next.write({ "raft/state": vote });
  assert.equal(frames(), 0);
  rmSync(join(meta, "state.db-wal"));
  const looked = openToRepair(meta, { readOnly: true });
  assert.deepEqual([looked.get("a"), looked.get("raft/state"), looked.whole], [1, vote, true]);
  await looked.close();
  await next.close();
});

test("new files are readable by their owner only", async (t) => {
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const meta = scratch(t);
  const store = openStableStore(meta);
  store.write({ a: 1, "raft/state": vote });
  const names = readdirSync(meta);
  assert.deepEqual(names.sort(), ["state.db", "state.db-wal", "vote"]);
  for (const name of names) assert.equal(statSync(join(meta, name)).mode & 0o777, 0o600, name);
  await store.close();
});

test("a repair of a damaged vote file keeps the rows, and of a damaged database keeps the vote", async (t) => {
  const meta = scratch(t);
  await made(meta);
  const file = join(meta, "vote");
  const bytes = readFileSync(file).fill(1, 0, 16_384);
  writeFileSync(file, bytes);
  const looked = openToRepair(meta, { readOnly: true });
  assert.throws(() => looked.get("raft/state"), isCorrupt);
  assert.throws(() => looked.get("boot/own"), isCorrupt);
  assert.deepEqual([looked.get("cluster-id"), looked.whole], ["c", true]);
  await looked.close();
  const repaired = openToRepair(meta, { readOnly: false });
  repaired.write({ "raft/state": { term: 9, vote: 0 }, "boot/own": undefined, more: 1 });
  repaired.write({ more: 2 });
  await repaired.close();
  assert.deepEqual(readFileSync(`${file}.cut`), bytes);
  const store = openStableStore(meta);
  assert.deepEqual(
    [store.get("raft/state"), store.get("more"), store.get("cluster-id")],
    [{ term: 9, vote: 0 }, 2, "c"],
  );
  await store.close();

  const database = join(meta, "state.db");
  const mangled = readFileSync(database);
  mangled[24] = 77;
  mangled.fill(3, 0, 16);
  writeFileSync(database, mangled);
  assert.throws(() => openStableStore(meta), isCorrupt);
  const gone = openToRepair(meta, { readOnly: true });
  assert.deepEqual(
    [gone.keys(""), gone.get("raft/state"), gone.whole],
    [["raft/state"], { term: 9, vote: 0 }, true],
  );
  await gone.close();
  const created = openToRepair(meta, { readOnly: false });
  created.write({ again: 1 });
  await created.close();
  assert.deepEqual(readFileSync(`${database}.cut`), mangled);
  const last = openStableStore(meta);
  assert.deepEqual([last.keys(""), last.get("raft/state")], [["again", "raft/state"], { term: 9, vote: 0 }]);
  await last.close();
});

test("rows that can be read are salvaged from a database with a damaged page, which is not whole", async (t) => {
  const meta = scratch(t);
  const rows = Object.fromEntries(
    Array.from({ length: 200 }, (_, n) => [`key-${1000 + n}`, `${n} `.repeat(40)]),
  );
  const store = openStableStore(meta);
  store.write(rows);
  await store.close();
  const database = join(meta, "state.db");
  const bytes = readFileSync(database);
  const at = bytes.lastIndexOf("key-1100") & ~4095;
  bytes.fill(0xff, at, at + 64);
  writeFileSync(database, bytes);
  assert.throws(() => openStableStore(meta), isCorrupt);
  const salvaged = openToRepair(meta, { readOnly: false });
  assert.equal(salvaged.whole, false);
  const found = salvaged.keys("key-");
  assert.ok(found.length > 100 && found.length < 200, `${found.length}`);
  salvaged.write({ more: 1 });
  assert.equal(salvaged.whole, true);
  await salvaged.close();
  const again = openStableStore(meta);
  assert.deepEqual(again.keys("key-"), found);
  for (const key of found) assert.equal(again.get(key), rows[key]);
  await again.close();
});

test("a repair can create a store that does not exist", async (t) => {
  const meta = join(scratch(t), "meta");
  const nothing = openToRepair(meta, { readOnly: true });
  assert.deepEqual([nothing.keys(""), nothing.get("raft/state"), nothing.whole], [[], undefined, true]);
  await nothing.close();
  mkdirSync(meta);
  const empty = openToRepair(meta, { readOnly: true });
  assert.deepEqual(empty.keys(""), []);
  await empty.close();
  assert.deepEqual(readdirSync(meta), []);
  const store = openToRepair(meta, { readOnly: false });
  store.write({ a: 1 });
  await store.close();
});

test("a full disk refuses no vote, and the store opens on it", async (t) => {
  const meta = scratch(t);
  using disk = SmallDisk.mount(meta, 4 * 1024 * 1024);
  if (disk === undefined) return t.skip("needs root, to mount a small file system");
  await made(meta);
  disk.fill();
  const store = openStableStore(meta);
  // Rows, too: the space of the write-ahead log was kept when the store was closed.
  for (let term = 5; term < 100; term++) store.write({ "raft/state": { term, vote: 1 }, b: term });
  await store.close();
  disk.empty();
  const again = openStableStore(meta);
  assert.deepEqual(again.get("raft/state"), { term: 99, vote: 1 });
  again.write({ a: 1 });
  disk.fill();
  for (let n = 0; n < 100; n++) again.write({ "raft/state": { term: 100 + n, vote: 1 }, a: n });
  await again.close();
});

test("a file of the store that is a directory is refused with its name, to open and to repair", async (t) => {
  for (const name of ["vote", "state.db", "state.db-wal", "data.mdb"]) {
    const meta = scratch(t);
    await made(meta);
    rmSync(join(meta, name), { force: true });
    mkdirSync(join(meta, name));
    const message = `${join(meta, name)} is a directory, expected a regular file`;
    assert.throws(() => openStableStore(meta), { message });
    assert.throws(() => openToRepair(meta, { readOnly: true }), { message });
  }
});
