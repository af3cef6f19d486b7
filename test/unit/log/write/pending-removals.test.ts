import assert from "node:assert/strict";
import { test } from "node:test";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { Catalog } from "../../../../src/log/segment/catalog.ts";
import { SegmentFiles } from "../../../../src/log/segment/segment-files.ts";
import { DiskHealth } from "../../../../src/log/write/disk-health.ts";
import { PendingRemovals } from "../../../../src/log/write/pending-removals.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";
import { SimStableStore } from "../../../support/disk/sim-stable-store.ts";

/** Three segments of three files each, and the turns that removals wait for. */
function threeSegments(inTurns = true) {
  const disk = new SimDisk(prng("removals").stream("disk"));
  disk.makeDirectory("/log");
  const catalog = new Catalog(new SimStableStore(disk), () => []);
  const files = new SegmentFiles("/log", disk, heapMapper(disk), 4);
  const create = (first: number): void => {
    for (const path of [files.storePath(first), files.indexPath(first), files.logsPath(first)])
      disk.open(path, "create").close();
  };
  for (const first of [1, 11, 21]) create(first);
  const turns: (() => void)[] = [];
  const soon = (callback: () => void): void => void turns.push(callback);
  const removals = new PendingRemovals(files, catalog, inTurns ? soon : undefined);
  return {
    ...{ disk, catalog, removals, create },
    left: () => disk.list("/log").length,
    waiting: () => turns.length,
    turn: () => turns.shift()?.(),
  };
}

test("one turn removes the files of one segment, and the last one tells the catalog", () => {
  const { removals, catalog, left, turn, waiting } = threeSegments();
  removals.add([1, 11, 21]);
  removals.run();
  removals.run();
  assert.deepEqual([left(), waiting()], [9, 1]);
  for (const files of [6, 3, 0]) {
    turn();
    assert.deepEqual([left(), waiting(), catalog.pendingRemovals()], [files, 1, [1, 11, 21]]);
  }
  turn();
  assert.deepEqual([waiting(), catalog.pendingRemovals()], [0, []]);
  removals.run();
  assert.equal(waiting(), 0);
});

test("a segment that is removed meanwhile is removed too", () => {
  const { removals, catalog, left, turn, waiting } = threeSegments();
  removals.add([1]);
  removals.run();
  turn();
  removals.add([11, 21]);
  removals.run();
  while (waiting() > 0) turn();
  assert.deepEqual([left(), catalog.pendingRemovals()], [0, []]);
});

test("a segment that begins under the name of one that waits keeps its files", () => {
  const { removals, catalog, disk, left, turn, waiting, create } = threeSegments();
  removals.add([1, 11]);
  removals.run();
  assert.equal(removals.beginning(21), undefined);
  const change = removals.beginning(11);
  assert.ok(change !== undefined);
  assert.equal(left(), 6);
  catalog.write(change);
  removals.began(11);
  create(11);
  while (waiting() > 0) turn();
  assert.deepEqual([disk.list("/log").length, catalog.pendingRemovals()], [6, []]);
});

test("what fails is tried again at the next call; after a failed sync nothing more is removed", () => {
  const { removals, catalog, disk, left, turn, waiting } = threeSegments();
  const remove = disk.remove.bind(disk);
  const failWith = (code: string): void => {
    disk.remove = () => {
      throw Object.assign(new Error(code), { code });
    };
  };
  const lost: unknown[] = [];
  removals.health = new DiskHealth(undefined, (failure) => lost.push(failure));
  removals.add([1, 11, 21]);
  failWith("EACCES");
  removals.run();
  while (waiting() > 0) turn();
  assert.deepEqual([left(), removals.areLeft, lost.length], [9, true, 0]);
  disk.remove = remove;
  removals.run();
  turn();
  failWith("EIO");
  while (waiting() > 0) turn();
  assert.deepEqual([left(), removals.areLeft, lost.length], [6, true, 0]);
  disk.remove = remove;
  disk.syncDirectory = () => {
    throw Object.assign(new Error("EIO"), { code: "EIO", syscall: "fsync" });
  };
  removals.run();
  while (waiting() > 0) turn();
  assert.deepEqual([left(), lost.length], [0, 1]);
  removals.run();
  while (waiting() > 0) turn();
  assert.deepEqual([lost.length, catalog.pendingRemovals()], [1, [1, 11, 21]]);
});

test("a file that cannot be removed does not keep the others", () => {
  const { removals, catalog, disk, left, turn, waiting } = threeSegments();
  const remove = disk.remove.bind(disk);
  disk.remove = (path) => {
    if (path.includes("0000001.")) throw Object.assign(new Error("EPERM"), { code: "EPERM" });
    remove(path);
  };
  removals.add([1, 11, 21]);
  removals.run();
  while (waiting() > 0) turn();
  assert.deepEqual([left(), removals.areLeft, catalog.pendingRemovals()], [3, true, [1, 11, 21]]);
  disk.remove = remove;
  removals.run();
  while (waiting() > 0) turn();
  assert.deepEqual([left(), removals.areLeft, catalog.pendingRemovals()], [0, false, []]);
});

test("a log that failed removes nothing more", () => {
  const { removals, left, turn, waiting } = threeSegments();
  const health = new DiskHealth();
  removals.health = health;
  removals.add([1, 11]);
  removals.run();
  turn();
  health.failed(new Error("EIO"));
  while (waiting() > 0) turn();
  assert.equal(left(), 6);
});

test("a closed log removes nothing more, and its catalog still has what is left", () => {
  const { removals, catalog, left, turn, waiting } = threeSegments();
  removals.add([1, 11]);
  removals.run();
  turn();
  removals.close();
  turn();
  assert.deepEqual([left(), waiting(), catalog.pendingRemovals()], [6, 0, [1, 11]]);
});

test("without turns, files are removed at once", () => {
  const { removals, catalog, left } = threeSegments(false);
  removals.add([1, 11, 21]);
  removals.run();
  assert.deepEqual([left(), catalog.pendingRemovals()], [0, []]);
});
