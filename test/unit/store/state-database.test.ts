import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import type { Disk } from "../../../src/lib/disk/disk.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import { StateDatabase } from "../../../src/store/state-database.ts";
import { encodeState, salvageState } from "../../../src/store/state-image.ts";
import { SmallDisk } from "../../support/disk/small-disk.ts";
import { scratch } from "../../support/scratch.ts";

/** Flipped bits in each of both files. 20,000 of each were run when this was written: no wrong value. */
const trials = Number(process.env["STORE_TRIALS"] ?? 80);

const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";

/** A new database without rows. */
function made(home: string): string {
  const path = join(home, "state.db");
  writeFileSync(path, encodeState([], 1));
  return path;
}

const all = (state: StateDatabase): Map<string, unknown> =>
  new Map(state.keys("").map((key) => [key, state.get(key)]));

/** Writes at random what a log's catalog holds: long and short values, many keys, many of them removed again. */
function fill(
  state: StateDatabase,
  seed: number | string,
  writes: number,
  known = new Map<string, unknown>(),
) {
  const chance = prng(seed);
  for (let n = 0; n < writes; n++) {
    const changes: Record<string, unknown> = {};
    for (let k = chance.between(1, 5); k > 0; k--) {
      const key = `${["log/segment/", "raft/", "x"][chance.between(0, 2)]}${chance.between(0, 60)}`;
      changes[key] = chance.chance(0.4)
        ? undefined
        : "v".repeat(chance.chance(0.1) ? chance.between(0, 30_000) : chance.between(0, 300));
    }
    state.write(changes);
    state.tidy();
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) known.delete(key);
      else known.set(key, value);
    }
  }
  return new Map([...known].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The files as a process leaves them that ends without closing: the database and its write-ahead log. */
function images(path: string): { database: Buffer; wal: Buffer } {
  return {
    database: readFileSync(path),
    wal: existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : Buffer.alloc(0),
  };
}

function put(path: string, { database, wal }: { database: Buffer; wal: Buffer }): void {
  writeFileSync(path, database);
  writeFileSync(`${path}-wal`, wal);
}

test("what is written is there at once, after closing, and after a process that did not close", (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const path = made(scratch(t));
    const state = new StateDatabase(systemDisk, path, 1);
    const known = fill(state, seed, 40);
    assert.deepEqual(all(state), known);
    const left = images(path);
    state.close();
    for (const files of [images(path), left]) {
      put(path, files);
      const again = new StateDatabase(systemDisk, path, 41);
      assert.equal(again.sequence, 41);
      assert.deepEqual(all(again), known);
      again.write({ more: seed });
      assert.deepEqual(
        all(again),
        new Map([...known, ["more", seed]].sort(([a], [b]) => (a! < b! ? -1 : 1)) as [string, unknown][]),
      );
      again.close();
    }
  }
});

test("opening, reading and closing change no byte", (t) => {
  const path = made(scratch(t));
  const state = new StateDatabase(systemDisk, path, 1);
  fill(state, 3, 30);
  const before = images(path);
  const other = new StateDatabase(systemDisk, path, 31);
  all(other);
  other.close();
  assert.deepEqual(images(path), before);
  state.close();
});

/** Opens a damaged database, and answers whether it was refused; fails for a wrong value. */
function isRefused(path: string, truth: ReadonlyMap<string, unknown>, writes: number, what: string): boolean {
  let state: StateDatabase;
  try {
    state = new StateDatabase(systemDisk, path, writes);
  } catch (reason) {
    assert.ok(isCorrupt(reason), `${what}: ${String(reason)}`);
    return true;
  }
  try {
    assert.deepEqual(all(state), truth, what);
    // What was without effect stays so when pages are taken and given back.
    try {
      state.write({ "~more": "m".repeat(20_000), "log/segment/0": undefined });
    } catch (reason) {
      assert.ok(isCorrupt(reason), `${what}: ${String(reason)}`);
      return true;
    }
    state.close();
    const again = new StateDatabase(systemDisk, path, writes + 1);
    const expected = new Map(truth);
    expected.delete("log/segment/0");
    assert.deepEqual(all(again), new Map([...expected, ["~more", "m".repeat(20_000)]]), what);
    again.close();
    return false;
  } finally {
    state.close();
  }
}

test("a flipped bit in the database is refused or without effect", (t) => {
  const path = made(scratch(t));
  const made2 = new StateDatabase(systemDisk, path, 1);
  const truth = fill(made2, 99, 30);
  made2.close();
  const { database } = images(path);
  const chance = prng("database bits");
  const pages = database.length / 4096;
  let refused = 0;
  for (let trial = 0; trial < trials; trial++) {
    const damaged = Buffer.from(database);
    const at =
      trial < 100
        ? trial
        : 4096 * chance.between(0, pages - 1) + chance.between(0, trial % 2 === 0 ? 60 : 4095);
    damaged[at]! ^= 1 << chance.between(0, 7);
    put(path, { database: damaged, wal: Buffer.alloc(0) });
    if (isRefused(path, truth, 31, `byte ${at}`)) refused++;
  }
  assert.ok(refused > trials / 10, `${refused} were refused`);
});

test("a flipped bit in the write-ahead log is refused or without effect, also in its last transaction", (t) => {
  const path = made(scratch(t));
  const made2 = new StateDatabase(systemDisk, path, 1);
  const truth = fill(made2, 7, 12);
  const files = images(path);
  made2.close();
  let used = files.wal.length;
  while (files.wal[used - 1] === 0) used--;
  const chance = prng("log bits");
  let refused = 0;
  for (let trial = 0; trial < trials; trial++) {
    const wal = Buffer.from(files.wal);
    const frame = 32 + 4120 * chance.between(0, Math.floor(used / 4120) - 1);
    const at =
      trial < 32
        ? trial
        : Math.min(used - 1, trial % 2 === 0 ? frame + chance.between(0, 60) : chance.between(0, used - 1));
    wal[at]! ^= 1 << chance.between(0, 7);
    put(path, { database: files.database, wal });
    if (isRefused(path, truth, 13, `byte ${at} of ${used}`)) refused++;
  }
  assert.ok(refused > trials / 2, `${refused} were refused`);
});

test("a write-ahead log that ends anywhere gives a transaction that was the last one then, or a refusal", (t) => {
  const path = made(scratch(t));
  const state = new StateDatabase(systemDisk, path, 1);
  const states = [new Map<string, unknown>()];
  const known = new Map<string, unknown>();
  for (let n = 0; n < 6; n++) states.push(fill(state, `cut ${n}`, 1, known));
  const files = images(path);
  state.close();
  const chance = prng("cuts");
  for (let trial = 0; trial < 50; trial++) {
    const wal = files.wal.subarray(0, chance.between(0, 40 * 4120));
    // Nothing is known to be durable: a torn transaction was never acknowledged.
    put(path, { database: files.database, wal });
    const torn = new StateDatabase(systemDisk, path, 1);
    assert.deepEqual(all(torn), states[torn.sequence - 1]);
    torn.write({ later: trial });
    assert.equal(torn.get("later"), trial);
    torn.close();
    // All is known to be durable.
    put(path, { database: files.database, wal });
    try {
      const whole = new StateDatabase(systemDisk, path, 7);
      assert.deepEqual(all(whole), states[6]);
      whole.close();
    } catch (reason) {
      assert.ok(isCorrupt(reason));
    }
  }
});

test("a row that is older than the others, missing or foreign is refused", (t) => {
  const path = made(scratch(t));
  const state = new StateDatabase(systemDisk, path, 1);
  state.write({ a: 1, b: 2 });
  state.close();
  const other = join(scratch(t), "state.db");
  copyFileSync(path, other);
  const later = new StateDatabase(systemDisk, path, 2);
  later.write({ a: 3 });
  later.close();
  for (const change of [
    "DELETE FROM state WHERE key = 'a'",
    "UPDATE state SET key = 'c' WHERE key = 'a'",
    `ATTACH '${other}' AS old; REPLACE INTO main.state SELECT * FROM old.state WHERE key = 'a'`,
    "DELETE FROM state",
    "DELETE FROM state WHERE key = '~census'",
    "DROP TABLE state",
    "CREATE TABLE more(x)",
    "CREATE TRIGGER t AFTER DELETE ON state BEGIN SELECT 1; END",
  ]) {
    const sound = readFileSync(path);
    const direct = new DatabaseSync(path);
    direct.exec(change);
    direct.close();
    assert.throws(() => new StateDatabase(systemDisk, path, 1), isCorrupt, change);
    writeFileSync(path, sound);
  }
  writeFileSync(path, readFileSync(other));
  assert.throws(() => new StateDatabase(systemDisk, path, 3), /its last writes are gone/);
  assert.equal(salvageState(systemDisk, path, 3)?.whole, false);
  assert.equal(salvageState(systemDisk, path, 2)?.whole, true);
});

test("a full disk takes small writes, refuses a large one as full, and takes that too once there is room", (t) => {
  const home = scratch(t);
  using disk = SmallDisk.mount(home, 4 * 1024 * 1024);
  if (disk === undefined) return t.skip("needs root, to mount a small file system");
  const path = made(home);
  const state = new StateDatabase(systemDisk, path, 1);
  state.write({ first: 0 });
  disk.fill();
  const { size } = statSync(path);
  for (let n = 1; n <= 300; n++) {
    state.write({ first: n, [`log/segment/${n % 40}`]: "m".repeat(300) });
    state.tidy();
  }
  assert.equal(statSync(path).size, size);
  const large = { first: 0, large: "x".repeat(3 * 1024 * 1024) };
  for (let tries = 0; tries < 3; tries++) assert.throws(() => state.write(large), { code: "ENOSPC" });
  assert.deepEqual([state.get("first"), state.get("large")], [300, undefined]);
  state.write({ first: 301 });
  disk.empty();
  state.write(large);
  state.close();
  const again = new StateDatabase(systemDisk, path, 303);
  assert.deepEqual([again.get("first"), again.get("large")], [0, large.large]);
  again.close();
});

test("the write-ahead log stays within its room however much is written", (t) => {
  const path = made(scratch(t));
  const state = new StateDatabase(systemDisk, path, 1);
  fill(state, 5, 300);
  assert.ok(statSync(`${path}-wal`).size <= 2 * 1024 * 1024);
  state.close();
});

test("a process that is killed while it adds free pages leaves a sound database", (t) => {
  const path = made(scratch(t));
  const state = new StateDatabase(systemDisk, path, 1);
  const frameBytes = 24 + 4096;
  const known = new Map<string, unknown>();
  // Free pages are added behind a checkpoint, which makes the log begin again.
  let left = images(path);
  for (let n = 0; !left.wal.subarray(0, 8 * frameBytes).includes("~spare"); n++) {
    assert.ok(n < 200, "free pages are added");
    const changes = { [`row${n}`]: "v".repeat(20_000) };
    state.write(changes);
    known.set(`row${n}`, changes[`row${n}`]);
    state.tidy();
    left = images(path);
  }
  const commits = Array.from({ length: 200 }, (_, k) => 32 + k * frameBytes).filter(
    (at) => at + frameBytes <= left.wal.length && left.wal.readUInt32BE(at + 4) > 0,
  );
  assert.ok(commits.length >= 2);
  state.close();
  for (const at of commits.slice(0, 2)) {
    put(path, { database: left.database, wal: left.wal.subarray(0, at + frameBytes) });
    const salvaged = salvageState(systemDisk, path, known.size + 1);
    assert.equal(salvaged?.whole, true);
    assert.equal(salvaged?.rows.size, known.size);
    const again = new StateDatabase(systemDisk, path, known.size + 1);
    assert.deepEqual(new Set(again.keys("")), new Set(known.keys()));
    assert.equal(again.get("~spare"), undefined);
    again.settle();
    again.write({ more: 1 });
    assert.deepEqual(new Set(again.keys("")), new Set([...known.keys(), "more"]));
    again.close();
    const database = new DatabaseSync(path);
    assert.equal(database.prepare("SELECT 1 FROM state WHERE key = '~spare'").get(), undefined);
    database.close();
  }
});

test("a file that may not be written is refused with the disk's error, and can be tried again", (t) => {
  for (const suffix of ["", "-wal"]) {
    const path = made(scratch(t));
    new StateDatabase(systemDisk, path, 1).write({ a: 1 });
    const left = images(path);
    const copy = made(scratch(t));
    put(copy, left);
    let isDenied = true;
    const denied = Object.assign(new Error("denied"), { code: "EACCES", syscall: "open" });
    const disk: Disk = {
      ...systemDisk,
      open(name, mode) {
        if (isDenied && mode === "write" && name === `${copy}${suffix}`) throw denied;
        return systemDisk.open(name, mode);
      },
    };
    const state = new StateDatabase(disk, copy, 2);
    assert.throws(() => state.write({ b: 2 }), denied);
    assert.deepEqual(images(copy), left);
    isDenied = false;
    state.write({ b: 2 });
    assert.deepEqual([state.get("a"), state.get("b")], [1, 2]);
    state.close();
  }
});

test("another process that has the database open is a refusal", (t) => {
  const path = made(scratch(t));
  const first = new StateDatabase(systemDisk, path, 1);
  const second = new StateDatabase(systemDisk, path, 1);
  first.write({ a: 1 });
  assert.throws(() => second.write({ a: 2 }), { kind: "locked" });
  second.close();
  first.close();
  rmSync(`${path}-wal`, { force: true });
  const third = new StateDatabase(systemDisk, path, 2);
  assert.equal(third.get("a"), 1);
  third.close();
});
