import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { compareLogs, verifyLog } from "../../../../src/log/mod.ts";
import { backupParts, readSnapshot, restoreFrames, verifyBackup } from "../../../../src/replication/mod.ts";
import { pack, unpackChecked } from "../../../../src/replication/storage/msgpack.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { compact, run, simDirectory, simMachine, valuesOf } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";

/** A backup of a trimmed log with named logs, and the directory that it is of. */
async function copied({ trims = true } = {}) {
  await using cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 900 });
  const node = await cluster.leader();
  const { log, storedLog, state } = node.replica!;
  for (const name of ["a", "b", "gone"]) await log.named.change({ kind: "create", name, settings: {} });
  await log.append(run("x"), { log: { name: "gone" } });
  await log.named.change({ kind: "delete", log: { name: "gone" } });
  for (let n = 0; n < 20; n++) {
    await log.append(run(`default ${n}`));
    for (const name of ["a", "b"]) await log.append(run(`${name} ${n}`, "more"), { log: { name } });
  }
  if (trims) {
    await log.trim(10);
    for (const name of ["a", "b"]) await log.trim(19, { log: { name } });
    assert.ok((await compact(storedLog)) > 0);
  }
  const files = new Map<string, Uint8Array>();
  for (const part of backupParts(storedLog, state, [])) {
    if (part === undefined) continue;
    const { file, data } = part;
    files.set(file, Buffer.concat([files.get(file) ?? Buffer.alloc(0), data]));
  }
  const checkpoint = storedLog.state.checkpointAt(storedLog.commitIndex);
  return { files, snapshot: readSnapshot(files.get("snapshot")!), node, checkpoint };
}

const reader = (files: ReadonlyMap<string, Uint8Array>) => (file: string, position: number, bytes: number) =>
  files.get(file)!.subarray(position, position + bytes);

const formatIn = (manifest: Uint8Array): number =>
  (unpackChecked(manifest).value as { readonly format: number }).format;

test("a backup carries the rows and records of named logs", async () => {
  const { files, snapshot, node, checkpoint } = await copied();
  const source = { size: (file: string) => files.get(file)?.length, read: reader(files) };
  const { findings, lowest, next, namedLogs } = await verifyBackup(snapshot, source);
  assert.deepEqual([findings, lowest, next, namedLogs], [[], 10, 20, 2]);
  assert.equal(formatIn(files.get("snapshot")!), 7);
  const machine = simMachine("restored");
  const restored = machine.openStored();
  await restoreFrames(restored, snapshot, { read: reader(files) });
  const { logs, producers } = restored.state.checkpointAt(restored.commitIndex);
  assert.deepEqual(logs, checkpoint.logs);
  assert.deepEqual(producers, checkpoint.producers);
  for (const { id, name } of restored.state.logs.rows()) {
    assert.deepEqual(valuesOf(restored.view(id).read(20), 20), [`${name} 10`, "more"]);
    assert.equal(restored.view(id).bounds.lowest, 19);
  }
  restored.close();
  const verified = verifyLog(directoryOf(machine));
  assert.deepEqual([verified.findings, verified.namedLogs], [[], 2]);
  const original = { directory: simDirectory, disk: node.disk, store: node.store };
  const { hashes } = compareLogs([directoryOf(machine), original]);
  assert.equal(new Set(hashes).size, 1);
});

test("a backup has the format that earlier versions read until the cluster has the level of forks", async () => {
  await using cluster = await MemoryCluster.open(1);
  const { storedLog, state, log } = (await cluster.leader()).replica!;
  const format = (): number => {
    const manifest = backupParts(storedLog, state, []).find((part) => part?.file === "snapshot");
    return formatIn(manifest!.data);
  };
  assert.equal(format(), 7, "no named logs");
  const { admin } = log.named;
  for (const level of [1, 2, 3]) {
    await admin.level.prepare(level, undefined, "late");
    assert.deepEqual([storedLog.state.logs.level, format()], [level, 7]);
  }
  await admin.level.prepare(4, undefined, "late");
  assert.equal(format(), 8, "an earlier version refuses it");
});

test("after damage in a backup, the files after it are not blamed for rows that are unknown then", async () => {
  const { files, snapshot } = await copied({ trims: false });
  assert.ok(snapshot.files.length > 4);
  const second = snapshot.files[1]!.file;
  for (const kind of ["missing", "checksum"]) {
    const copy = new Map(files);
    const bytes = Uint8Array.from(files.get(second)!);
    bytes[70]! ^= 1;
    if (kind === "missing") copy.delete(second);
    else copy.set(second, bytes);
    const source = { size: (file: string) => copy.get(file)?.length, read: reader(copy) };
    const { findings } = await verifyBackup(snapshot, source);
    assert.deepEqual(
      findings.map(({ file }) => file),
      [second],
    );
  }
});

test("the rows at the start are a file of the backup: damage of it is found by verify, and refused by a restore", async () => {
  const { files, snapshot } = await copied();
  const { file, bytes } = snapshot.base!;
  assert.match(file, /^\d{20}-[0-9a-f]{8}\.rows$/);
  assert.equal(files.get(file)?.length, bytes);
  const whole = files.get(file)!;
  for (let at = 0; at < bytes; at += 3) {
    const damaged = Uint8Array.from(whole);
    damaged[at]! ^= 1;
    const copy = new Map(files).set(file, damaged);
    const source = { size: (name: string) => copy.get(name)?.length, read: reader(copy) };
    const found = (await verifyBackup(snapshot, source)).findings;
    assert.deepEqual(found, [{ file, position: 0, kind: "checksum" }]);
    if (at % 60 === 0)
      await assert.rejects(restoreFrames(simMachine("x").openStored(), snapshot, { read: reader(copy) }));
  }
  const without = new Map(files);
  without.delete(file);
  const source = { size: (name: string) => without.get(name)?.length, read: reader(without) };
  assert.deepEqual((await verifyBackup(snapshot, source)).findings, [{ file, position: 0, kind: "missing" }]);
  const short = new Map(files).set(file, whole.subarray(1));
  const ofShort = { size: (name: string) => short.get(name)?.length, read: reader(short) };
  assert.deepEqual((await verifyBackup(snapshot, ofShort)).findings, [
    { file, position: bytes - 1, kind: "length" },
  ]);
});

test("rows of a backup that do not fit into memory go to a database, and the report is the same", async () => {
  const { files, snapshot } = await copied();
  const source = { size: (file: string) => files.get(file)?.length, read: reader(files) };
  const { rowStore } = simMachine("scratch");
  const identity = { directoryId: new Uint8Array(16), generation: 1 };
  let builds = 0;
  const scratch = {
    create: (from: Parameters<typeof rowStore.buildNow>[1]) => {
      builds++;
      return rowStore.buildNow(identity, from);
    },
    rowsMax: 1,
    remove: () => undefined,
  };
  assert.deepEqual(await verifyBackup(snapshot, source, scratch), await verifyBackup(snapshot, source));
  assert.equal(builds, 1);
});

test("a manifest that names another base file, or none although there are named logs, is refused", async () => {
  const { files } = await copied();
  const { value } = unpackChecked(files.get("snapshot")!);
  const manifest = value as { base: object };
  for (const base of [
    undefined,
    null,
    7,
    { ...manifest.base, file: "../x.rows" },
    { ...manifest.base, crc: 5 },
    { ...manifest.base, bytes: -1 },
  ]) {
    assert.throws(
      () => readSnapshot(pack({ ...manifest, base })),
      (reason) => reason instanceof Fault && reason.kind === "corrupt",
    );
  }
});
