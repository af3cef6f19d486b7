import assert from "node:assert/strict";
import { test } from "node:test";
import { errorCode } from "../../../src/lib/disk/disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import { SimDisk, SimulatedCrash } from "../../support/disk/sim-disk.ts";

const path = "/d/f";
const code = (expected: string) => (reason: unknown) => errorCode(reason) === expected;

function fresh(seed: number): {
  disk: SimDisk;
  write: (bytes: number[], position: number) => void;
  sync: () => void;
} {
  const disk = new SimDisk(prng(seed));
  disk.makeDirectory("/d");
  disk.open(path, "create");
  disk.syncDirectory("/d");
  const file = disk.open(path, "write");
  return { disk, write: (bytes, at) => file.write(Uint8Array.from(bytes), at), sync: () => file.sync() };
}

test("synced data survives every power cut, unsynced data is kept, dropped or torn", () => {
  const ends = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const { disk, write, sync } = fresh(seed);
    write([1, 2], 0);
    sync();
    write([3, 4], 2);
    disk.crash();
    const left = [...disk.contents(path)];
    assert.deepEqual(left.slice(0, 2), [1, 2]);
    ends.add(left.join());
  }
  for (const end of ["1,2", "1,2,3", "1,2,3,4", "1,2,0,4"]) assert.ok(ends.has(end), end);
});

test("two unsynced writes are lost independently", () => {
  const ends = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const { disk, write } = fresh(seed);
    disk.odds = { keep: 0.5, tear: 0 };
    write([1], 0);
    write([2], 1);
    disk.crash();
    ends.add(disk.contents(path).join());
  }
  assert.deepEqual([...ends].sort(), ["", "0,2", "1", "1,2"]);
});

test("names are durable only after syncDirectory", () => {
  const ends = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const { disk } = fresh(seed);
    disk.rename(path, "/d/g");
    disk.open("/d/h", "create");
    disk.crash();
    ends.add(disk.list("/d").join());
  }
  assert.deepEqual([...ends].sort(), ["f", "f,h", "g", "g,h"]);
});

test("after a failed sync the bytes are seen, the next sync succeeds, and a power cut can lose them", () => {
  let lost = 0;
  for (let seed = 0; seed < 50; seed++) {
    const { disk, write, sync } = fresh(seed);
    disk.faults.syncFails = 1;
    write([1], 0);
    assert.throws(sync, code("EIO"));
    sync();
    assert.deepEqual([...disk.contents(path)], [1]);
    disk.crash();
    if (disk.contents(path).length === 0) lost++;
  }
  assert.ok(lost > 10 && lost < 50);
});

test("a full disk writes a part and fails with ENOSPC; a failing write leaves a part and fails with EIO", () => {
  const { disk, write } = fresh(1);
  disk.capacityBytes = 3;
  assert.throws(() => write([1, 2, 3, 4, 5], 0), code("ENOSPC"));
  assert.deepEqual([...disk.contents(path)], [1, 2, 3]);
  assert.equal(disk.freeBytes("/d"), 0);
  disk.capacityBytes = 100;
  disk.faults.writeFails = 1;
  assert.throws(() => write([6, 7, 8, 9], 0), code("EIO"));
  write([6, 7, 8, 9], 0);
});

test("after a power cut in an operation open files fail, and the same seed gives the same content", () => {
  const run = (): string => {
    const { disk, write, sync } = fresh(7);
    disk.crashAfter(1);
    write([1, 2, 3, 4, 5, 6], 0);
    assert.throws(() => write([7, 8, 9, 10, 11], 6), SimulatedCrash);
    assert.throws(sync, SimulatedCrash);
    return disk.contents(path).join();
  };
  assert.equal(run(), run());
});

test("after a kill open files fail, and all data is kept", () => {
  const { disk, write, sync } = fresh(1);
  write([1], 0);
  disk.kill();
  assert.throws(sync, SimulatedCrash);
  assert.deepEqual([...disk.contents(path)], [1]);
});

test("a flipped bit is in the seen and the durable content", () => {
  const { disk, write, sync } = fresh(1);
  write([0, 0], 0);
  sync();
  disk.flipBit(path, 9);
  disk.crash();
  assert.deepEqual([...disk.contents(path)], [0, 2]);
});
