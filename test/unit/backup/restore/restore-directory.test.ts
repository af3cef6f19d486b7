/** A data directory that is made from a backup in a store of objects. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { FetchedFiles, isRestorable, newestBackup, restoreDirectory } from "../../../../src/backup/mod.ts";
import { openOffline } from "../../../../src/backup/restore/offline-log.ts";
import { checkRestored, StableState } from "../../../../src/replication/mod.ts";
import { BackupNode } from "../../../support/objects/backup-source.ts";
import { Killed, MemoryStore } from "../../../support/objects/memory-store.ts";
import { scratch } from "../../../support/scratch.ts";

async function backedUp() {
  await using source = await BackupNode.open();
  await source.append(25);
  const store = new MemoryStore();
  await source.write(store);
  const { snapshot } = (await newestBackup(store))!;
  store.revive();
  const restore = (directory: string, files: MemoryStore = store): Promise<number> =>
    restoreDirectory({
      snapshot,
      open: (at) => new FetchedFiles(files, snapshot, at),
      directory,
      newCluster: false,
    });
  return { store, snapshot, restore, next: source.node.replica!.storedLog.bounds.next };
}

test("a restore makes a directory with another identity that may join only the cluster of the backup", async (t) => {
  const { restore, next, snapshot } = await backedUp();
  const [one, two] = [join(scratch(t), "a"), join(scratch(t), "b")];
  assert.deepEqual([await restore(one), await restore(two)], [next, next]);
  assert.deepEqual(readdirSync(one).sort(), ["lock", "log", "meta"]);
  const ids: string[] = [];
  for (const directory of [one, two]) {
    await using opened = await openOffline(directory, (store) => checkRestored(store, directory));
    const state = new StableState(opened.store);
    assert.deepEqual(
      [state.restoredFrom, state.configured, state.vote],
      [snapshot.clusterId || undefined, false, undefined],
    );
    ids.push(Buffer.from(opened.log.directoryId).toString("hex"));
  }
  assert.notEqual(ids[0], ids[1]);
  assert.equal(isRestorable(one), false);
  await assert.rejects(restore(one), { kind: "foreign-directory", message: /is not empty/ });
});

test("a restore that fails at any operation leaves an empty directory", async (t) => {
  const { store, restore, next } = await backedUp();
  const directory = join(scratch(t), "data");
  await restore(join(scratch(t), "whole"));
  const operations = store.operations.length;
  for (let at = 0; at < operations; at++) {
    store.revive();
    store.dies = { at, after: false };
    await assert.rejects(restore(directory), Killed);
    assert.equal(existsSync(directory), false);
  }
  store.revive();
  assert.equal(await restore(directory), next);
});

test("a directory of a restore that was killed is emptied by the next one, and no other directory is", async (t) => {
  const { restore, next } = await backedUp();
  const directory = scratch(t);
  // As SIGKILL leaves it: marked, with a part of the log.
  for (const name of ["restoring/files", "log", "meta", "lost+found"])
    mkdirSync(join(directory, name), { recursive: true });
  writeFileSync(join(directory, "log/part"), "x");
  assert.equal(isRestorable(directory), true);
  assert.equal(await restore(directory), next);
  assert.deepEqual(readdirSync(directory).sort(), ["lock", "log", "lost+found", "meta"]);
  const foreign = scratch(t);
  mkdirSync(join(foreign, "log"));
  await assert.rejects(restore(foreign), { kind: "foreign-directory" });
});

test("damage of a file, and a missing one, end the restore", async (t) => {
  const { store, restore, snapshot } = await backedUp();
  const key = `files/${snapshot.files[2]!.file}`;
  const whole = store.objects.get(key)!;
  const directory = join(scratch(t), "data");
  for (let at = 0; at < whole.length; at += 397) {
    const damaged = Uint8Array.from(whole);
    damaged[at]! ^= 4;
    store.objects.set(key, damaged);
    await assert.rejects(restore(directory), { kind: "corrupt" }, String(at));
    assert.equal(existsSync(directory), false);
  }
  for (const changed of [whole.subarray(1), whole.subarray(0, -1), Buffer.concat([whole, Buffer.alloc(3)])]) {
    store.objects.set(key, changed);
    if (changed.length > whole.length) await restore(join(scratch(t), "longer"));
    else await assert.rejects(restore(directory), { kind: "corrupt" });
  }
  store.objects.delete(key);
  await assert.rejects(restore(directory), { kind: "corrupt", message: /the backup has no file/ });
});
