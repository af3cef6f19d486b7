import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { prng } from "../../../src/lib/prng.ts";
import { lmdbFlaw } from "../../../src/store/lmdb-pages.ts";
import { openLmdbStore } from "../../../src/store/lmdb-store.ts";
import type { StableStore } from "../../../src/store/stable-store.ts";
import { SmallDisk } from "../../support/chaos/full-disk.ts";

const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";

function scratch(t: { after(work: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-lmdb-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const all = (store: StableStore): Map<string, unknown> =>
  new Map(store.keys("").map((key) => [key, store.get(key)]));

/** As the newer of both headers has it. */
const lastPageOf = (file: Buffer): number => {
  const [even, odd] = [0, 4096].map((header) => file.readBigUInt64LE(header + 152));
  return Number(file.readBigUInt64LE(144 + (even! > odd! ? 0 : 4096)));
};

/** Writes at random what a log's catalog holds: long and short values, many keys, many of them removed again. */
async function fill(directory: string, seed: number, writes: number): Promise<Map<string, unknown>> {
  const chance = prng(seed);
  const known = new Map<string, unknown>();
  const store = openLmdbStore(directory);
  for (let n = 0; n < writes; n++) {
    const changes: Record<string, unknown> = {};
    for (let k = chance.between(1, 5); k > 0; k--) {
      const key = `${["log/segment/", "raft/", "x"][chance.between(0, 2)]}${chance.between(0, 60)}`;
      changes[key] = chance.chance(0.4)
        ? undefined
        : "v".repeat(chance.chance(0.1) ? chance.between(0, 30_000) : chance.between(0, 300));
    }
    store.write(changes);
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) known.delete(key);
      else known.set(key, value);
    }
  }
  assert.deepEqual(all(store), new Map([...known].sort(([a], [b]) => (a < b ? -1 : 1))));
  await store.close();
  return known;
}

test("what LMDB writes is sound at every transaction, and opens again", async (t) => {
  const directory = scratch(t);
  const file = join(directory, "data.mdb");
  for (let seed = 1; seed <= 8; seed++) {
    rmSync(file, { force: true });
    await fill(directory, seed, 40);
    const bytes = readFileSync(file);
    assert.equal(
      lmdbFlaw((at, most) => bytes.subarray(at, at + most), bytes.length),
      undefined,
    );
    const store = openLmdbStore(directory);
    assert.equal(store.whole, true);
    store.write({ more: seed });
    await store.close();
  }
});

test("a page that was free again before it was written need not be in the file", async (t) => {
  const directory = scratch(t);
  const store = openLmdbStore(directory);
  const chance = prng(15);
  const keys = new Set<string>();
  let missing = 0;
  for (let n = 0; n < 8; n++) {
    const changes: Record<string, unknown> = {};
    // Many at once, so that leaves are merged: one that this very transaction took is then free.
    if (chance.chance(0.2)) for (const key of keys) if (chance.chance(0.6)) changes[key] = undefined;
    for (let k = chance.between(1, 3); k > 0; k--)
      changes[`k${chance.between(0, 14)}`] = "v".repeat(chance.between(20, 1300));
    store.write(changes);
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) keys.delete(key);
      else keys.add(key);
    }
    const bytes = readFileSync(join(directory, "data.mdb"));
    // The room that we add set aside, the file ends with the last page that was written.
    let pages = bytes.length / 4096;
    while (bytes.subarray(4096 * (pages - 1), 4096 * pages).every((byte) => byte === 0)) pages--;
    const written = bytes.subarray(0, 4096 * pages);
    missing += Math.max(0, lastPageOf(bytes) + 1 - pages);
    const flaw = lmdbFlaw((at, most) => written.subarray(at, at + most), written.length);
    assert.equal(flaw, undefined, `write ${n}`);
  }
  await store.close();
  assert.ok(missing > 0, "each page was written");
});

test("a flipped bit anywhere is refused or changes nothing, and never ends the process", async (t) => {
  const directory = scratch(t);
  await fill(directory, 99, 30);
  const file = join(directory, "data.mdb");
  const sound = readFileSync(file);
  const open = openLmdbStore(directory);
  const truth = all(open);
  await open.close();
  const lastPage = lastPageOf(sound);
  let refused = 0;
  const chance = prng("bits");
  for (let n = 0; n < 600; n++) {
    // Half of them in the pages' first bytes and last ones, where the trees' own numbers are.
    const page = chance.between(0, lastPage);
    const at = 4096 * page + (n % 2 === 0 ? chance.between(0, 159) : chance.between(0, 4095));
    const damaged = Buffer.from(sound);
    damaged[at]! ^= 1 << chance.between(0, 7);
    writeFileSync(file, damaged);
    try {
      const store = openLmdbStore(directory);
      try {
        assert.deepEqual(all(store), truth, `byte ${at}`);
      } finally {
        await store.close();
      }
    } catch (reason) {
      assert.ok(isCorrupt(reason), `byte ${at}: ${String(reason)}`);
      refused++;
    }
  }
  assert.ok(refused > 80, `${refused} were refused`);
});

test("a key that became another is refused, though its value be sound, and is what there is once that was said", async (t) => {
  const directory = scratch(t);
  const file = join(directory, "data.mdb");
  const made = openLmdbStore(directory);
  made.write({ "cluster-id": "c", other: 1 });
  await made.close();
  const bytes = readFileSync(file);
  for (let at = bytes.indexOf("cluster-id"); at !== -1; at = bytes.indexOf("cluster-id", at + 1))
    bytes[at + 9]! ^= 1;
  writeFileSync(file, bytes);
  assert.throws(
    () => openLmdbStore(directory),
    (reason) => {
      assert.ok(reason instanceof Fault && reason.kind === "corrupt");
      assert.deepEqual(reason.facts, { file, position: 0, why: "keys" });
      return true;
    },
  );
  const looked = openLmdbStore(directory, { readOnly: true });
  assert.deepEqual([looked.whole, looked.keys("")], [false, ["cluster-ie", "other"]]);
  await looked.close();
  const salvaged = openLmdbStore(directory, { salvage: true });
  salvaged.write({ "cluster-ie": undefined });
  assert.equal(salvaged.whole, true);
  await salvaged.close();
  const again = openLmdbStore(directory);
  assert.deepEqual(again.keys(""), ["other"]);
  await again.close();
});

test("a disk that is full to the last byte stops no small write", async (t) => {
  const path = scratch(t);
  const file = join(path, "data.mdb");
  // For root alone. Elsewhere the file's size tells as much: what does not grow needs no room.
  using disk = SmallDisk.mount(path, 2 * 1024 * 1024);
  const store = openLmdbStore(path);
  store.write({ vote: 0 });
  disk?.fill();
  const { size } = statSync(file);
  for (let vote = 1; vote <= 500; vote++)
    store.write({ vote, [`log/segment/${vote % 40}`]: "m".repeat(300) });
  assert.equal(statSync(file).size, size);
  if (disk !== undefined) {
    // Errors as disks have them, and nothing has changed.
    const large = { vote: 0, large: "x".repeat(1024 * 1024) };
    assert.throws(() => store.write(large), { code: "ENOSPC" });
    assert.deepEqual([store.get("vote"), store.get("large")], [500, undefined]);
  }
  await store.close();
  const again = openLmdbStore(path);
  assert.deepEqual([again.get("vote"), again.keys("log/segment/").length], [500, 40]);
  again.write({ vote: 501 });
  await again.close();
});

test("a transaction that is undone by a flipped bit is not taken for one that never was", async (t) => {
  const directory = scratch(t);
  const store = openLmdbStore(directory);
  for (let vote = 1; vote <= 5; vote++) store.write({ vote });
  await store.close();
  const file = join(directory, "data.mdb");
  const sound = readFileSync(file);
  for (const header of [0, 4096]) {
    for (let bit = 0; bit < 64; bit++) {
      const bytes = Buffer.from(sound);
      bytes[header + 152 + (bit >> 3)]! ^= 1 << (bit & 7);
      writeFileSync(file, bytes);
      assert.throws(() => openLmdbStore(directory), isCorrupt, `header ${header} bit ${bit}`);
    }
  }
});
