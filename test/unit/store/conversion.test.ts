import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openDataDirectory } from "../../../src/agent/data-directory.ts";
import { Fault } from "../../../src/fault.ts";
import type { Disk, DiskFile } from "../../../src/lib/disk/disk.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import { verifyLog } from "../../../src/log/mod.ts";
import { readLmdb } from "../../../src/store/lmdb-reader.ts";
import { openStableStore, openToRepair, type StableStore } from "../../../src/store/mod.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratch } from "../../support/scratch.ts";
import { lmdbRecords, lmdbValues, putLmdbDirectory } from "./lmdb-directory.ts";

const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";
const all = (store: StableStore): Map<string, unknown> =>
  new Map(store.keys("").map((key) => [key, store.get(key)]));

/** Bytes come as a Buffer or as a plain array, by their way. */
const plain = (values: ReadonlyMap<string, unknown>): unknown =>
  new Map(
    [...values].map(([key, value]) => [key, JSON.parse(JSON.stringify(value, bytesAsList)) as unknown]),
  );
const bytesAsList = (_: string, value: unknown): unknown => {
  if (value instanceof Uint8Array) return [...value];
  if (typeof value === "bigint") return `${value}n`;
  const { type, data } = (value ?? {}) as { type?: unknown; data?: unknown };
  return type === "Buffer" ? data : value;
};

/** A directory of the earlier version; answers its `meta`. */
function oldDirectory(t: { after(work: () => void): void }): { home: string; meta: string } {
  const home = join(scratch(t), "data");
  putLmdbDirectory(home);
  return { home, meta: join(home, "meta") };
}

test("a directory of the previous version is converted once, with every value, and its file is kept", async (t) => {
  const { home, meta } = oldDirectory(t);
  const old = readFileSync(join(meta, "data.mdb"));
  const kept: string[] = [];
  {
    await using opened = await openDataDirectory(home, (name) => kept.push(name));
    assert.deepEqual(plain(all(opened.store)), plain(lmdbValues));
  }
  assert.deepEqual(kept, [join(meta, "data.mdb.converted")]);
  assert.deepEqual(readFileSync(kept[0]!), old);
  assert.deepEqual(readdirSync(meta).sort(), ["data.mdb.converted", "state.db", "vote"]);
  await using again = await openDataDirectory(home, (name) => kept.push(name));
  assert.equal(kept.length, 1);
  assert.deepEqual(plain(all(again.store)), plain(lmdbValues));
});

test("a converted directory serves all its records, accepts more, and passes verify", async (t) => {
  const { home, meta } = oldDirectory(t);
  {
    await using opened = await openOneNode(home, { segmentStoreBytesMax: 2000 });
    const { next } = await opened.replica.log.bounds();
    assert.equal(next, lmdbRecords);
    assert.equal(opened.replica.state.clusterId, lmdbValues.get("cluster-id"));
    assert.ok((opened.replica.state.vote?.term ?? 0) > 5);
    assert.equal(opened.replica.state.boot?.count, 6);
  }
  const store = openToRepair(meta, { readOnly: true });
  assert.deepEqual(verifyLog({ directory: home, disk: systemDisk, store }).findings, []);
  await store.close();
});

test("verify of a directory of the previous version finds no damage and changes nothing", async (t) => {
  const { home, meta } = oldDirectory(t);
  const store = openToRepair(meta, { readOnly: true });
  assert.equal(store.whole, true);
  assert.deepEqual(plain(all(store)), plain(lmdbValues));
  const { findings, records } = verifyLog({ directory: home, disk: systemDisk, store });
  assert.deepEqual([findings, records], [[], lmdbRecords]);
  assert.throws(() => store.write({ a: 1 }), { kind: "failed-precondition" });
  await store.close();
  assert.deepEqual(readdirSync(meta), ["data.mdb"]);
});

/** The machine's disk, on which the process ends before its n-th change: what it wrote before is there. */
function endingDisk(changes: number): Disk {
  let left = changes;
  const step = (): void => {
    if (left-- === 0) throw new Error("the process ended");
  };
  const file = (inner: DiskFile): DiskFile => ({
    path: inner.path,
    size: () => inner.size(),
    read: (target, position) => inner.read(target, position),
    write(bytes, position) {
      // In its middle.
      if (left === 0) inner.write(bytes.subarray(0, bytes.length >> 1), position);
      step();
      inner.write(bytes, position);
    },
    writeAsync: (bytes, position) => inner.writeAsync(bytes, position),
    writeSyncedAsync: (bytes, position) => inner.writeSyncedAsync(bytes, position),
    sync() {
      step();
      inner.sync();
    },
    syncAsync: () => inner.syncAsync(),
    truncate: (bytes) => inner.truncate(bytes),
    preallocate: (bytes) => inner.preallocate(bytes),
    close: () => inner.close(),
  });
  return {
    ...systemDisk,
    open(path, mode) {
      if (mode === "create") step();
      return file(systemDisk.open(path, mode));
    },
    rename(from, to) {
      step();
      systemDisk.rename(from, to);
    },
    remove(path) {
      step();
      systemDisk.remove(path);
    },
    syncDirectory(directory) {
      step();
      systemDisk.syncDirectory(directory);
    },
  };
}

test("a conversion that was interrupted at any step is repeated and loses nothing", async (t) => {
  let steps = 0;
  for (let ended = true; ended; steps++) {
    const { meta } = oldDirectory(t);
    try {
      const store = openStableStore(meta, { disk: endingDisk(steps) });
      await store.close();
      ended = false;
    } catch (reason) {
      assert.match(String(reason), /the process ended/);
    }
    // And again, at each step of the second one.
    for (const second of ended ? [0, 3, 6, 9] : []) {
      try {
        await openStableStore(meta, { disk: endingDisk(second) }).close();
      } catch (reason) {
        assert.match(String(reason), /the process ended/);
      }
    }
    const store = openStableStore(meta);
    assert.deepEqual(plain(all(store)), plain(lmdbValues), `step ${steps}`);
    await store.close();
    const names = readdirSync(meta).sort();
    assert.deepEqual(names, ["data.mdb.converted", "state.db", "vote"]);
  }
  assert.ok(steps > 8, `${steps} steps`);
});

test("the creation of a store that was interrupted at any step is repeated", async (t) => {
  for (let steps = 0, ended = true; ended; steps++) {
    const meta = join(scratch(t), "meta");
    mkdirSync(meta);
    try {
      await openStableStore(meta, { disk: endingDisk(steps) }).close();
      ended = false;
    } catch (reason) {
      assert.match(String(reason), /the process ended/);
    }
    const store = openStableStore(meta);
    assert.deepEqual(store.keys(""), []);
    store.write({ a: 1 });
    await store.close();
  }
});

test("a conversion on a full disk is refused, and the old store stays in use", async (t) => {
  const { meta } = oldDirectory(t);
  const full: Disk = {
    ...systemDisk,
    open(path, mode) {
      const file = systemDisk.open(path, mode);
      const refuse = (): never => {
        throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      };
      return mode === "create" && path.includes("state.db")
        ? { ...file, write: refuse, close: () => file.close() }
        : file;
    },
  };
  assert.throws(() => openStableStore(meta, { disk: full }), { code: "ENOSPC" });
  const store = openStableStore(meta);
  assert.deepEqual(plain(all(store)), plain(lmdbValues));
  await store.close();
});

test("a flipped bit in the old store is refused or without effect, and nothing is converted then", (t) => {
  const { meta } = oldDirectory(t);
  const path = join(meta, "data.mdb");
  const sound = readFileSync(path);
  const chance = prng("old bits");
  let refused = 0;
  for (let trial = 0; trial < 300; trial++) {
    const damaged = Buffer.from(sound);
    const at = 4096 * chance.between(0, 25) + chance.between(0, trial % 2 === 0 ? 200 : 4095);
    damaged[at]! ^= 1 << chance.between(0, 7);
    writeFileSync(path, damaged);
    if (isSound(path, `byte ${at}`)) continue;
    assert.throws(() => openStableStore(meta), isCorrupt, `byte ${at}`);
    assert.deepEqual(readdirSync(meta), ["data.mdb"]);
    refused++;
  }
  assert.ok(refused > 50, `${refused} were refused`);
});

/** Can all of it be read? Fails for a wrong value. */
function isSound(path: string, what: string): boolean {
  try {
    const { rows, whole } = readLmdb(systemDisk, path);
    const values = new Map([...rows].map(([key, row]) => [key, "value" in row ? row.value : undefined]));
    if (!whole || [...values.values()].includes(undefined)) return false;
    assert.deepEqual(plain(values), plain(lmdbValues), what);
    return true;
  } catch (reason) {
    if (isCorrupt(reason)) return false;
    throw reason;
  }
}

test("a damaged value of the old store is found, and a repair converts the others", async (t) => {
  const { meta } = oldDirectory(t);
  const path = join(meta, "data.mdb");
  const bytes = readFileSync(path);
  for (let at = bytes.indexOf("cluster-id"); at !== -1; at = bytes.indexOf("cluster-id", at + 1))
    bytes[at + 18]! ^= 1;
  writeFileSync(path, bytes);
  assert.throws(() => openStableStore(meta), isCorrupt);
  const store = openToRepair(meta, { readOnly: false });
  assert.throws(() => store.get("cluster-id"), isCorrupt);
  store.write({ "cluster-id": undefined, more: 1 });
  assert.deepEqual([store.get("cluster-id"), store.get("more"), store.whole], [undefined, 1, true]);
  await store.close();
  assert.deepEqual(readFileSync(`${path}.cut`), bytes);
  const again = openStableStore(meta);
  assert.equal(again.keys("").length, lmdbValues.size);
  await again.close();
});

test("an old store beside a newer one is refused, and a repair uses the newer one", async (t) => {
  const { meta } = oldDirectory(t);
  const store = openStableStore(meta);
  store.write({ "raft/state": { term: 99, vote: 1 } });
  await store.close();
  renameSync(join(meta, "data.mdb.converted"), join(meta, "data.mdb"));
  assert.throws(() => openStableStore(meta), { kind: "corrupt", message: /was written after it/ });
  const looked = openToRepair(meta, { readOnly: true });
  assert.deepEqual(looked.get("raft/state"), { term: 99, vote: 1 });
  assert.equal(looked.whole, false);
  await looked.close();
  const repaired = openToRepair(meta, { readOnly: false });
  repaired.write({ more: 1 });
  await repaired.close();
  const again = openStableStore(meta);
  assert.deepEqual(again.get("raft/state"), { term: 99, vote: 1 });
  await again.close();
  assert.deepEqual(readdirSync(meta).sort(), ["data.mdb.cut", "state.db", "state.db-wal", "vote"]);
});
