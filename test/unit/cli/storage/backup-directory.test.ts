/** A backup directory that another person may have written: no name leads out of it, and only the owner can read it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BackupDirectory } from "../../../../src/cli/storage/backup-directory.ts";
import { systemDisk } from "../../../../src/lib/disk/system-disk.ts";
import { chainStart, defaultSettings, emptyCheckpoint } from "../../../../src/log/mod.ts";
import { emptyConfState } from "../../../../src/raft/mod.ts";
import { readSnapshot } from "../../../../src/replication/mod.ts";
import { pack } from "../../../../src/replication/storage/msgpack.ts";
import { scratch } from "../../../support/scratch.ts";

const name = `${"1".padStart(20, "0")}-${"2".padStart(20, "0")}.frames`;
const start = { end: chainStart, checkpoint: { ...emptyCheckpoint, settings: defaultSettings } };
const manifest = (changed: object = {}, file: object = {}): Uint8Array =>
  pack({
    format: 1,
    clusterId: "c",
    index: 2,
    start,
    configuration: emptyConfState,
    files: [{ file: name, first: 1, last: 2, bytes: 10, ...file }],
    ...changed,
  });

test("a snapshot that names a file outside the backup, or one with an invalid name, is rejected", (t) => {
  const home = scratch(t);
  const at = join(home, "backup");
  mkdirSync(at);
  const read = (bytes: Uint8Array): unknown => {
    writeFileSync(join(at, "snapshot"), bytes);
    return BackupDirectory.open(at).snapshot();
  };
  read(manifest());
  for (const file of [
    "../x",
    `../${name}`,
    `x/../${name}`,
    "/etc/passwd",
    "snapshot",
    "",
    `${name}\u0000`,
    7,
    null,
  ]) {
    assert.throws(() => read(manifest({}, { file })), { kind: "corrupt" }, String(file));
  }
  const wrong: [string, object, object][] = [
    ["no first", {}, { first: undefined }],
    ["a negative size", {}, { bytes: -1 }],
    ["a malformed size", {}, { bytes: 1e300 }],
    ["a gap", { index: 3 }, { first: 2, last: 3, file: name.replace(/1-/, "2-").replace("2.f", "3.f") }],
    ["an end before the index", { index: 3 }, {}],
    ["no start", { start: undefined }, {}],
    ["no configuration", { configuration: { voters: ["x"] } }, {}],
    ["a file that is nothing", { files: [null] }, {}],
    ["files that are none", { files: "x" }, {}],
  ];
  for (const [what, changed, file] of wrong) {
    assert.throws(() => read(manifest(changed, file)), { kind: "corrupt" }, what);
  }
  assert.throws(() => read(Buffer.from("noise")), { kind: "corrupt" });
  assert.throws(() => read(manifest({ format: 1_000 })), { kind: "unsupported-version" });
});

test("links and pipes in the place of files are rejected", (t) => {
  const home = scratch(t);
  const at = join(home, "backup");
  const target = BackupDirectory.openOrCreate(at);
  writeFileSync(join(home, "secret"), "0123456789");
  symlinkSync(join(home, "secret"), join(at, name));
  assert.equal(target.size(name), undefined);
  assert.throws(() => target.read(name, 0, 10), { kind: "corrupt", message: /is not a regular file/ });
  symlinkSync(join(home, "secret"), join(at, `${name}.part`));
  assert.throws(() => target.write(name, 0, 3, Buffer.from("abc")));
  assert.equal(readFileSync(join(home, "secret"), "utf8"), "0123456789");
  const pipe = name.replace("2.frames", "3.frames");
  execFileSync("mkfifo", [join(at, pipe)]);
  assert.throws(() => target.read(pipe, 0, 10), { kind: "corrupt", message: /is not a regular file/ });
  symlinkSync(join(home, "secret"), join(at, "snapshot"));
  assert.throws(() => BackupDirectory.open(at).snapshot(), { kind: "corrupt" });
});

test("only the owner can read a backup, and its files are durable before the snapshot that names them", (t) => {
  const before = process.umask(0o022);
  t.after(() => process.umask(before));
  const home = scratch(t);
  const at = join(home, "made", "backup");
  const synced = t.mock.method(systemDisk, "syncDirectory");
  const target = BackupDirectory.openOrCreate(at);
  const paths = synced.mock.calls.map(({ arguments: [path] }) => path);
  assert.deepEqual(paths, [home, join(home, "made")]);
  target.write(name, 0, 6, Buffer.from("abc"));
  target.write(name, 3, 6, Buffer.from("def"));
  let filesWhenSynced: string[] = [];
  assert.throws(() => target.finish(manifest(), [{ file: name, bytes: 7 }]), {
    kind: "corrupt",
    message: `${name} has 6 bytes, not 7: write the backup to another directory`,
  });
  synced.mock.mockImplementationOnce((path: string) => {
    filesWhenSynced = readdirSync(path);
  });
  target.finish(manifest(), [{ file: name, bytes: 6 }]);
  assert.deepEqual(filesWhenSynced, [name]);
  assert.equal(readFileSync(join(at, name), "utf8"), "abcdef");
  assert.equal(statSync(at).mode & 0o777, 0o700);
  for (const file of readdirSync(at)) assert.equal(statSync(join(at, file)).mode & 0o777, 0o600, file);
});

test("two processes do not write to a directory at the same time, and its lock is no file of the backup", async (t) => {
  const at = join(scratch(t), "backup");
  mkdirSync(join(at, "lost+found"), { recursive: true });
  const target = BackupDirectory.openOrCreate(at);
  {
    await using _ = await target.lock();
    await assert.rejects(BackupDirectory.openOrCreate(at).lock(), {
      kind: "locked",
      message: `${at} is in use by process ${process.pid}`,
    });
    target.write(name, 0, 3, Buffer.from("abc"));
    target.finish(manifest(), [{ file: name, bytes: 3 }]);
    await assert.rejects(target.lock(), { kind: "locked" });
  }
  await using _ = await BackupDirectory.openOrCreate(at).lock();
  assert.deepEqual(readdirSync(at).sort(), [name, "lock", "lost+found", "snapshot"].sort());
});

test("a backup of another cluster, or one that ends earlier, does not replace an existing one", (t) => {
  const at = join(scratch(t), "backup");
  const target = BackupDirectory.openOrCreate(at);
  const chained = { file: name.replace(".", ".0000000a."), crc: 10 };
  const next = (changed: object): ReturnType<typeof readSnapshot> =>
    readSnapshot(manifest({ format: 7, ...changed }, chained));
  target.checkSuccessor(next({ clusterId: "any" }));
  writeFileSync(join(at, "snapshot"), manifest());
  target.checkSuccessor(next({}));
  assert.throws(() => target.checkSuccessor(next({ clusterId: "other" })), {
    kind: "failed-precondition",
    message: /contains a backup of cluster c, the node belongs to cluster other: nothing was changed/,
  });
  assert.throws(() => target.checkSuccessor(next({ index: 0, files: [] })), {
    kind: "failed-precondition",
    message: /up to index 2, the log of the node is committed up to 0 only: nothing was changed/,
  });
  assert.throws(() => target.checkSuccessor(next({ format: 6, files: readSnapshot(manifest()).files })), {
    kind: "failed-precondition",
    message: /the node has an older version, .*: nothing was changed/,
  });
  assert.deepEqual(readFileSync(join(at, "snapshot")), Buffer.from(manifest()));
});

test("the files of a manifest have the value of the chain, and their names have it too", () => {
  const file = name.replace(".", ".0000000a.");
  assert.equal(readSnapshot(manifest({ format: 7 }, { file, crc: 10 })).files[0]!.crc, 10);
  for (const wrong of [{ crc: 10 }, { file }, { file, crc: 11 }, { file, crc: 2 ** 32 }, { file, crc: "a" }])
    assert.throws(() => readSnapshot(manifest({ format: 7 }, wrong)), { kind: "corrupt" });
  assert.throws(() => readSnapshot(manifest({ format: 6 }, { file, crc: 10 })), { kind: "corrupt" });
});
