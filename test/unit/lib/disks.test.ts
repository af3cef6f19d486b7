import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type Disk, errorCode } from "../../../src/lib/disk/disk.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import { openStableStore } from "../../../src/store/mod.ts";
import type { StableStore } from "../../../src/store/stable-store.ts";
import { SimDisk } from "../../support/disk/sim-disk.ts";
import { SimStableStore } from "../../support/disk/sim-stable-store.ts";
import { scratch } from "../../support/scratch.ts";

const directory = scratch({ after });

const disks: readonly (readonly [name: string, root: string, disk: Disk])[] = [
  ["the system's disk", directory, systemDisk],
  ["the simulated disk", "/sim", new SimDisk(prng(1))],
];

for (const [name, root, disk] of disks) {
  describe(name, () => {
    const directory = join(root, "a/b");
    const path = join(directory, "file");
    const code = (expected: string) => (reason: unknown) => errorCode(reason) === expected;

    test("a directory can be made twice", () => {
      disk.makeDirectory(directory);
      disk.makeDirectory(directory);
      assert.deepEqual(disk.list(directory), []);
      assert.deepEqual(disk.list(join(root, "a")), ["b"]);
      assert.throws(() => disk.list(join(root, "none")), code("ENOENT"));
    });

    test("a read returns what was written, and less only at the end of the file", async () => {
      assert.throws(() => disk.open(path, "write"), code("ENOENT"));
      const file = disk.open(path, "create");
      assert.throws(() => disk.open(path, "create"), code("EEXIST"));
      file.write(Uint8Array.of(1, 2, 3, 4), 2);
      await file.writeAsync(Uint8Array.of(9), 3);
      file.sync();
      await file.syncAsync();
      await file.writeSyncedAsync(Uint8Array.of(8), 5);
      const target = new Uint8Array(8).fill(7);
      assert.equal(file.read(target, 1), 5);
      assert.deepEqual(target, Uint8Array.of(0, 1, 9, 3, 8, 7, 7, 7));
      file.truncate(3);
      assert.equal(file.size(), 3);
      file.preallocate(2_000_000);
      assert.equal(file.size(), 2_000_000);
      file.close();
      assert.throws(() => disk.open(path, "read").write(Uint8Array.of(1), 0), code("EBADF"));
    });

    test("a file is renamed over another one, and removed", () => {
      const other = join(directory, "other");
      disk.open(other, "create").close();
      disk.rename(path, other);
      disk.syncDirectory(directory);
      assert.deepEqual(disk.list(directory), ["other"]);
      assert.equal(disk.exists(path), false);
      assert.equal(disk.exists(other), true);
      disk.remove(other);
      assert.throws(() => disk.remove(other), code("ENOENT"));
      assert.ok(disk.freeBytes(directory) > 0);
    });
  });
}

test("a file of the system's disk that was renamed is written where it is now", async () => {
  const [from, to] = [join(directory, "from"), join(directory, "to")];
  const file = systemDisk.open(from, "create");
  systemDisk.rename(from, to);
  systemDisk.open(from, "create").close();
  await file.writeSyncedAsync(Uint8Array.of(1, 2), 0);
  file.close();
  const sizes = [from, to].map((path) => systemDisk.open(path, "read").size());
  assert.deepEqual(sizes, [0, 2]);
});

test("a closed file of the system's disk refuses writes", async () => {
  const file = systemDisk.open(join(directory, "closed"), "create");
  await file.writeSyncedAsync(Uint8Array.of(1), 0);
  file.close();
  assert.throws(() => file.write(Uint8Array.of(1), 0));
  await assert.rejects(file.writeSyncedAsync(Uint8Array.of(1), 0));
});

for (const [name, make] of [
  ["the stable store of a directory", () => openStableStore(directory)],
  ["the simulated stable store", () => new SimStableStore()],
] as const) {
  test(`${name} writes all or nothing and lists by prefix`, async () => {
    const store: StableStore = make();
    store.write({ "a/1": { bytes: Uint8Array.of(1), term: 5, big: 2n ** 63n }, "a/2": "two", b: [1, null] });
    store.write({ "a/2": undefined, "a/3": 3 });
    assert.deepEqual(store.keys("a/"), ["a/1", "a/3"]);
    assert.deepEqual(store.keys("c"), []);
    assert.equal(store.get("a/2"), undefined);
    const value = store.get("a/1") as { bytes: Uint8Array; big: bigint };
    assert.deepEqual(Uint8Array.from(value.bytes), Uint8Array.of(1));
    assert.equal(value.big, 2n ** 63n);
    await store.close();
  });
}
