/** Backups in a store of objects: what is uploaded, what is kept, and what a crash leaves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseBackup, listBackups } from "../../../../src/backup/mod.ts";
import { type Clock, systemClock } from "../../../../src/lib/time/clock.ts";
import type { BackupPart } from "../../../../src/replication/mod.ts";
import { pack, unpackChecked } from "../../../../src/replication/storage/msgpack.ts";
import { compact } from "../../../support/log/logs.ts";
import {
  BackupNode,
  checkBackups,
  checkNoOrphans,
  toFormat6,
} from "../../../support/objects/backup-source.ts";
import { Killed, MemoryStore } from "../../../support/objects/memory-store.ts";

/** A wall clock that moves on by a minute with each reading, so that backups have different names. */
function minutes(): Clock {
  let minute = 0;
  return { ...systemClock, wallMs: () => 1_700_000_000_000 + minute++ * 60_000 };
}

const uploads = (store: MemoryStore): number =>
  store.operations.filter((one) => one.startsWith("finish")).length;

test("a second backup uploads only new files, and one without new records changes nothing", async () => {
  await using source = await BackupNode.open();
  const store = new MemoryStore();
  const clock = minutes();
  await source.append(30);
  const first = await source.write(store, undefined, { clock });
  assert.ok(first.files > 3 && first.isNew);
  assert.equal(uploads(store), first.files);
  await source.append(1);
  store.revive();
  const second = await source.write(store, undefined, { clock });
  assert.ok(second.isNew && second.index > first.index);
  assert.equal(uploads(store), 1);
  assert.ok(second.uploadedBytes < first.uploadedBytes / 2);
  const before = store.contents;
  const third = await source.write(store, undefined, { clock });
  assert.deepEqual([third.isNew, third.name, third.uploadedBytes], [false, second.name, 0]);
  assert.deepEqual(store.contents, before);
  assert.deepEqual(await checkBackups(store), [second.name, first.name]);
  assert.deepEqual(
    await checkBackups(store),
    (await listBackups(store)).map(({ name }) => name),
  );
  assert.equal((await chooseBackup(store, undefined)).name, second.name);
  assert.equal((await chooseBackup(store, first.name)).snapshot.index, first.index);
  await assert.rejects(chooseBackup(store, "../x"), { kind: "bad-request" });
  await assert.rejects(chooseBackup(store, first.name.replace("T", "T").replace(/^0/, "1")), {
    kind: "not-found",
  });
  await assert.rejects(chooseBackup(new MemoryStore(), undefined), { kind: "not-found" });
});

test("only the newest backups are kept, with the files that they need", async () => {
  await using source = await BackupNode.open();
  const store = new MemoryStore();
  const names: string[] = [];
  for (let n = 0; n < 5; n++) {
    await source.append(7);
    names.unshift((await source.write(store, 3)).name);
    assert.deepEqual(await checkBackups(store), names.slice(0, 3));
    await checkNoOrphans(store, names.slice(0, 3));
  }
});

test("backups in a place below, and files of others, are not deleted", async () => {
  await using source = await BackupNode.open();
  const below = new MemoryStore();
  await source.append(7);
  await source.write(below, 1);
  const store = new MemoryStore();
  const others = [...below.objects.keys()].map((key) => `files/${key}`).concat("files/notes.txt");
  for (const key of others) store.objects.set(key, Buffer.from("x"));
  for (let n = 0; n < 3; n++) {
    await source.append(7);
    await source.write(store, 1);
  }
  assert.equal(others.length, new Set(others).size);
  assert.ok(others.length > 3);
  for (const key of others) assert.ok(store.objects.has(key), key);
});

test("with a cache, the snapshot of a kept backup is read only as the newest", async () => {
  await using source = await BackupNode.open();
  const store = new MemoryStore();
  const cache = new Map();
  for (let n = 0; n < 4; n++) {
    store.revive();
    await source.append(7);
    await source.write(store, 3, { cache });
    assert.ok(store.operations.filter((one) => one.startsWith("read backups/")).length <= 1);
    await checkNoOrphans(store, await checkBackups(store));
  }
  assert.equal(cache.size, 3);
});

test("a backup of another cluster, or of a node that is behind, changes nothing", async () => {
  await using source = await BackupNode.open();
  await source.append(20);
  const store = new MemoryStore();
  await source.write(store);
  const [name] = await checkBackups(store);
  const { value } = unpackChecked(store.objects.get(`backups/${name}`)!);
  const refused = async (message: RegExp): Promise<void> => {
    const there = store.contents;
    await assert.rejects(source.write(store, 1), { kind: "failed-precondition", message });
    assert.deepEqual(store.contents, there);
  };
  store.objects.set(`backups/${name}`, pack({ ...(value as object), clusterId: "other" }));
  await refused(/a backup of cluster other, the node belongs to cluster/);
  await using behind = await BackupNode.open();
  await behind.append(5);
  const clusterId = behind.node.replica!.state.clusterId ?? "";
  store.objects.set(`backups/${name}`, pack({ ...(value as object), clusterId }));
  source.parts = (have) => behind.parts(have);
  await refused(/up to index \d+, the log of the node is committed up to \d+ only/);
});

const history = {
  kind: "failed-precondition",
  message: /another history .* nothing was changed; give another place/,
};

/** A node with a backup, and a cluster that was restored from it, went on, and made a backup in the same place. */
async function forked() {
  const source = await BackupNode.open();
  await source.append(10);
  const store = new MemoryStore();
  await source.write(store);
  const other = await BackupNode.restored(store);
  await other.append(40);
  await other.write(store);
  assert.ok(other.index > source.index);
  return { source, other, store };
}

test("a node does not go on from a backup of a cluster that was restored from it, with more records or as many", async () => {
  for (const more of [1, 0]) {
    const { source, other, store } = await forked();
    await using _ = source;
    await using __ = other;
    await source.append(other.index - source.index + more);
    assert.equal(source.index, other.index + more);
    const there = store.contents;
    await assert.rejects(source.write(store), history);
    assert.deepEqual(store.contents, there, "nothing was written");
    await other.append(3);
    assert.equal((await other.write(store)).index, other.index);
    await checkBackups(store);
    // So it is with a backup of an earlier version.
    toFormat6(store);
    await source.append(10);
    await assert.rejects(source.write(store), history);
    await other.append(1);
    const { name } = await other.write(store);
    assert.equal((await checkBackups(store))[0], name);
  }
});

test("a cluster that was restored from an older backup does not go on from the newest", async () => {
  await using source = await BackupNode.open();
  await source.append(10);
  const store = new MemoryStore();
  const { name } = await source.write(store);
  await source.append(20);
  await source.write(store);
  await using restored = await BackupNode.restored(store, name);
  await restored.append(5);
  await assert.rejects(restored.write(store), /committed up to \d+ only/);
  await restored.append(40);
  await assert.rejects(restored.write(store), history);
  assert.equal((await checkBackups(store)).length, 2);
});

test("files of another history, of a backup that was killed, are not used", async () => {
  for (const named of ["by their chain", "by their indexes"]) {
    await using source = await BackupNode.open();
    await source.append(10);
    const store = new MemoryStore();
    await source.write(store);
    await using other = await BackupNode.restored(store);
    await other.append(40);
    store.onOperation = (operation) => {
      if (operation.startsWith("put backups/")) throw new Killed();
    };
    await assert.rejects(other.write(store), Killed);
    store.onOperation = () => undefined;
    store.revive();
    if (named === "by their indexes") toFormat6(store);
    await source.append(other.index - source.index);
    const { name, uploadedBytes } = await source.write(store, 1);
    assert.ok(uploadedBytes > 4000);
    assert.deepEqual(await checkBackups(store), [name]);
    await using again = await BackupNode.restored(store);
    const ends = [source, again].map(({ node }) => node.replica!.storedLog.endAt(source.index).crc);
    assert.equal(ends[0], ends[1], "it has the records of this node");
    await checkNoOrphans(store, [name]);
  }
});

test("files that are named by their indexes alone are not used", async () => {
  await using source = await BackupNode.open();
  await source.append(30);
  const store = new MemoryStore();
  store.onOperation = (operation) => {
    if (operation.startsWith("put backups/")) throw new Killed();
  };
  await assert.rejects(source.write(store), Killed);
  store.onOperation = () => undefined;
  store.revive();
  toFormat6(store);
  for (const [key, data] of store.objects) store.objects.set(key, Buffer.alloc(data.length, 7));
  const { name } = await source.write(store);
  await checkNoOrphans(store, await checkBackups(store));
  assert.deepEqual(await checkBackups(store), [name]);
});

test("a file that a backup left with another size is written again", async () => {
  await using source = await BackupNode.open();
  await source.append(30);
  const store = new MemoryStore();
  store.onOperation = (operation) => {
    if (operation.startsWith("put backups/")) throw new Killed();
  };
  await assert.rejects(source.write(store), Killed);
  store.onOperation = () => undefined;
  store.revive();
  const [key, data] = [...store.objects].find(([one]) => one.startsWith("files/"))!;
  store.objects.set(key, data.subarray(1));
  assert.equal((await source.write(store)).uploadedBytes, data.length);
  await checkNoOrphans(store, await checkBackups(store));
});

test("what a pass removes is counted apart: uploads that were begun, and objects that no backup needs", async () => {
  await using source = await BackupNode.open();
  const store = new MemoryStore();
  let writes = 0;
  store.onOperation = (operation) => {
    if (operation.startsWith("write files/") && ++writes > 3) throw new Killed();
  };
  await source.append(30);
  await assert.rejects(source.write(store), Killed);
  store.onOperation = () => undefined;
  store.revive();
  store.unfinished.add("files/begun 1");
  const begun = store.unfinished.size;
  const orphan = `files/${"9".repeat(20)}-${"9".repeat(20)}.frames`;
  store.objects.set(orphan, Buffer.from("x"));
  const { removed, abortedUploads } = await source.write(store);
  assert.deepEqual([removed, abortedUploads], [1, begun]);
  const again = await source.write(store);
  assert.deepEqual([again.removed, again.abortedUploads, again.isNew], [0, 0, false]);
});

test("a file that a backup names is not replaced by one of another size", async () => {
  await using source = await BackupNode.open();
  await source.append(30);
  const store = new MemoryStore();
  const { name } = await source.write(store);
  const { value } = unpackChecked(store.objects.get(`backups/${name}`)!);
  const manifest = value as { readonly files: readonly { readonly file: string; readonly bytes: number }[] };
  const [first, ...rest] = manifest.files;
  const { file, bytes } = first!;
  const files = [{ ...first!, bytes: bytes - 1 }, ...rest];
  store.objects.set(`backups/${name}`, pack({ ...manifest, files }));
  store.objects.set(`files/${file}`, store.objects.get(`files/${file}`)!.subarray(1));
  await source.append(1);
  const there = store.contents;
  await assert.rejects(source.write(store), {
    kind: "failed-precondition",
    message: new RegExp(
      `the backup ${name} has files/${file} with ${bytes - 1} bytes, .* has ${bytes}: .*nothing was changed`,
    ),
  });
  assert.deepEqual(store.contents, there);
});

test("a node that removed the end of the newest backup sends all files", async () => {
  const { source, other, store } = await forked();
  await using _ = source;
  await using __ = other;
  await other.append(60);
  await other.node.replica!.log.trim(90);
  assert.ok((await compact(other.node.replica!.storedLog)) > 0);
  const { name } = await other.write(store);
  assert.equal((await checkBackups(store))[0], name);
});

test("SIGKILL at any operation: no backup is damaged, the next pass completes one, and no orphan is left", async () => {
  await using source = await BackupNode.open();
  await source.append(12);
  const base = new MemoryStore();
  await source.write(base);
  await source.append(5);
  await source.write(base);
  await source.append(9);
  const kept = await checkBackups(base);
  let died = 0;
  for (const after of [false, true]) {
    for (let at = 0; ; at++) {
      const store = new MemoryStore();
      for (const [key, data] of base.objects) store.objects.set(key, data);
      store.dies = { at, after };
      const failed = await source.write(store, 2).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (failed !== undefined) assert.ok(failed instanceof Killed, String(failed));
      // It has done all its operations, and the last ones only tidy up.
      if (store.operations.length <= at) break;
      died++;
      store.revive();
      const now = await checkBackups(store);
      assert.ok(now.includes(kept[0]!), "the newest complete backup is still there");
      await source.write(store, 2);
      const names = await checkBackups(store);
      assert.equal(names.length, 2);
      assert.equal(
        (await chooseBackup(store, undefined)).snapshot.index,
        source.node.replica!.storedLog.commitIndex,
      );
      await checkNoOrphans(store, names);
    }
  }
  assert.ok(died > 30, String(died));
});

test("SIGKILL at any operation of the first backup: there is none, or a whole one", async () => {
  await using source = await BackupNode.open();
  await source.append(12);
  for (let at = 0; ; at++) {
    const store = new MemoryStore();
    store.dies = { at, after: at % 2 === 0 };
    await source.write(store, 1).catch(() => undefined);
    if (store.operations.length <= at) break;
    store.revive();
    const names = await checkBackups(store);
    store.revive();
    await source.write(store, 1);
    if (names.length > 0) assert.deepEqual(await checkBackups(store), names);
    await checkNoOrphans(store, await checkBackups(store));
  }
});

test("files of a backup that was not completed are used by the next one", async () => {
  await using source = await BackupNode.open();
  await source.append(30);
  const store = new MemoryStore();
  store.onOperation = (operation) => {
    if (operation.startsWith("put backups/")) throw new Killed();
  };
  await assert.rejects(source.write(store));
  const uploaded = uploads(store);
  store.onOperation = () => undefined;
  store.revive();
  const { uploadedBytes, files } = await source.write(store);
  assert.deepEqual([uploaded, uploadedBytes, uploads(store)], [files, 0, 0]);
  await checkNoOrphans(store, await checkBackups(store));
});

test("a list that lags neither loses a file nor counts on a deleted one", async () => {
  await using source = await BackupNode.open();
  await source.append(20);
  const store = new MemoryStore();
  await source.write(store);
  const early = store.sizes();
  await source.append(20);
  await source.write(store, 1);
  const deleted = [...early.keys()].filter((key) => !store.objects.has(key));
  assert.ok(deleted.length > 0);
  // What the last minutes added is not listed, and what they deleted is.
  await source.append(20);
  store.lagging = early;
  await source.write(store, 2);
  store.lagging = undefined;
  assert.ok((await checkBackups(store)).length >= 2);
  // A file that a dead writer left was deleted, and is still listed.
  await source.append(20);
  store.onOperation = (operation) => {
    if (operation.startsWith("put backups/")) throw new Killed();
  };
  await assert.rejects(source.write(store, 5), Killed);
  store.onOperation = () => undefined;
  const orphans = store.sizes();
  const named = new Set<string>();
  for (const name of await checkBackups(store))
    for (const { file } of (await chooseBackup(store, name)).snapshot.files) named.add(`files/${file}`);
  for (const key of orphans.keys())
    if (key.startsWith("files/") && !named.has(key)) store.objects.delete(key);
  store.lagging = orphans;
  await source.write(store, 5);
  store.lagging = undefined;
  await checkBackups(store);
  // Nothing is listed.
  store.lagging = new Map();
  await source.append(5);
  await source.write(store, 5);
  store.lagging = undefined;
  await checkBackups(store);
});

test("a list that lacks the last backups, of other writers, does not cost them their files", async () => {
  await using source = await BackupNode.open();
  const store = new MemoryStore();
  const clock = minutes();
  await source.append(10);
  await source.write(store, 4, { clock });
  const early = [...store.sizes().keys()].filter((key) => key.startsWith("backups/"));
  const names: string[] = [];
  for (let n = 0; n < 4; n++) {
    await source.append(10);
    // Files are listed at once, snapshots are not.
    store.lagging = new Map(
      [...store.sizes()].filter(([key]) => !key.startsWith("backups/") || early.includes(key)),
    );
    names.unshift((await source.write(store, 4, { clock })).name);
    store.lagging = undefined;
    assert.deepEqual((await checkBackups(store)).slice(0, n + 1), names);
  }
  assert.deepEqual(await checkBackups(store), names);
  await checkNoOrphans(store, names);
});

test("backups of one index in one second have different names", async () => {
  await using source = await BackupNode.open();
  await source.append(40);
  const store = new MemoryStore();
  const clock: Clock = { ...systemClock, wallMs: () => 1_700_000_000_500 };
  const first = await source.write(store, 3, { clock });
  await source.node.replica!.log.trim(30);
  const index = source.index;
  const before = await source.write(store, 3, { clock });
  assert.deepEqual([before.index, before.isNew], [index, true]);
  // The same records in other files.
  assert.ok((await compact(source.node.replica!.storedLog)) > 0);
  const after = await source.write(store, 3, { clock });
  assert.deepEqual([after.index, after.isNew], [index, true]);
  assert.notEqual(after.name, before.name);
  assert.deepEqual(await checkBackups(store), [after.name, before.name, first.name]);
  await checkNoOrphans(store, [after.name, before.name, first.name]);
});

test("a writer that lost its lock while a deletion is repeated does not delete", async () => {
  await using source = await BackupNode.open();
  await source.append(20);
  const store = new MemoryStore();
  await source.write(store, 1);
  await source.append(20);
  let ms = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => ms };
  let deletions = 0;
  const { delete: remove } = store;
  store.delete = (key, guard) => {
    // The first attempt failed, and after the pause the lock is of another writer.
    if (deletions++ === 0) ms += 31_000;
    return remove.call(store, key, guard);
  };
  const there = [...store.objects.keys()].filter((key) => key !== "lock");
  const { removed } = await source.write(store, 1, { clock });
  assert.deepEqual([removed, deletions], [0, 1]);
  for (const key of there) assert.ok(store.objects.has(key), key);
});

test("a kept backup that cannot be read keeps all files", async () => {
  await using source = await BackupNode.open();
  await source.append(20);
  const store = new MemoryStore();
  await source.write(store);
  await source.append(20);
  const { name } = await source.write(store);
  const [first] = (await listBackups(store)).slice(-1);
  store.objects.set(`backups/${first!.name}`, Buffer.from("damaged"));
  const orphan = `files/${"9".padStart(20, "0")}-${"9".padStart(20, "0")}.frames`;
  store.objects.set(orphan, Buffer.from("x"));
  await source.append(1);
  await source.write(store, 3);
  assert.ok(store.objects.has(orphan));
  assert.ok(store.objects.has(`backups/${name}`));
  // It goes once it is not kept any more.
  await source.append(1);
  const { removed } = await source.write(store, 2);
  assert.ok(removed > 0 && !store.objects.has(orphan));
});

test("a node that sends what does not belong there is refused, and there is no backup", async () => {
  await using source = await BackupNode.open();
  await source.append(20);
  const clean = await Array.fromAsync(source.parts([]));
  const [snapshot, first, second] = clean;
  const cases = [
    ["no snapshot", [first, second]],
    ["nothing", []],
    ["a part twice", [snapshot, first, first]],
    ["a part missing", [snapshot, { ...first!, position: 5 }]],
    ["another file", [snapshot, { ...first!, file: "x.frames" }]],
    ["another size", [snapshot, { ...first!, fileBytes: first!.fileBytes + 1 }]],
    ["files missing", [snapshot, first]],
  ] as const;
  for (const [what, parts] of cases) {
    const store = new MemoryStore();
    source.parts = async function* () {
      yield* parts as readonly BackupPart[];
    };
    await assert.rejects(source.write(store), { kind: "corrupt" }, what);
    assert.deepEqual(await checkBackups(store), [], what);
  }
});
