import assert from "node:assert/strict";
import { test } from "node:test";
import { compareLogs, verifyLog } from "../../../../src/log/mod.ts";
import { backupParts, readSnapshot, restoreFrames, verifyBackup } from "../../../../src/replication/mod.ts";
import { unpackChecked } from "../../../../src/replication/storage/msgpack.ts";
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
  for (const { file, data } of backupParts(storedLog, state, []))
    files.set(file, Buffer.concat([files.get(file) ?? Buffer.alloc(0), data]));
  const checkpoint = storedLog.state.checkpointAt(storedLog.commitIndex);
  return { files, snapshot: readSnapshot(files.get("snapshot")!), node, checkpoint };
}

const reader = (files: ReadonlyMap<string, Uint8Array>) => (file: string, position: number, bytes: number) =>
  files.get(file)!.subarray(position, position + bytes);

test("a backup carries the rows and records of named logs", async () => {
  const { files, snapshot, node, checkpoint } = await copied();
  const source = { size: (file: string) => files.get(file)?.length, read: reader(files) };
  const { findings, lowest, next } = verifyBackup(snapshot, source);
  assert.deepEqual([findings, lowest, next], [[], 10, 20]);
  const { value } = unpackChecked(files.get("snapshot")!);
  assert.equal((value as { format: number }).format, 3, "a version without named logs refuses it");
  const machine = simMachine("restored");
  const restored = machine.openStored();
  await restoreFrames(restored, snapshot, reader(files));
  const { logs, producers } = restored.state.checkpointAt(restored.commitIndex);
  assert.deepEqual(logs, checkpoint.logs);
  assert.deepEqual(producers, checkpoint.producers);
  for (const { id, name } of restored.state.logs.rows()) {
    assert.deepEqual(valuesOf(restored.view(id).read(20), 20), [`${name} 10`, "more"]);
    assert.equal(restored.view(id).bounds.lowest, 19);
  }
  restored.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  const original = { directory: simDirectory, disk: node.disk, store: node.store };
  const { hashes } = compareLogs([directoryOf(machine), original]);
  assert.equal(new Set(hashes).size, 1);
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
    const { findings } = verifyBackup(snapshot, source);
    assert.deepEqual(
      findings.map(({ file }) => file),
      [second],
    );
  }
});
