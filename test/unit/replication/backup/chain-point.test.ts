import assert from "node:assert/strict";
import { test } from "node:test";
import { backupParts, chainPointOf, readSnapshot } from "../../../../src/replication/mod.ts";
import { compact, run } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";

async function copied() {
  const cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 1500 });
  const replica = (await cluster.leader()).replica!;
  const files = new Map<string, Uint8Array>();
  for (let n = 0; n < 30; n++) await replica.log.append(run(`value ${n}`, "x".repeat(100)));
  for (const part of backupParts(replica.storedLog, replica.state, []))
    if (part !== undefined)
      files.set(part.file, Buffer.concat([files.get(part.file) ?? Buffer.alloc(0), part.data]));
  return { cluster, replica, files, snapshot: readSnapshot(files.get("snapshot")!) };
}

test("the end of a backup in the chain is in its manifest, and was only in the last file before format 7", async () => {
  const { cluster, replica, files, snapshot } = await copied();
  await using _ = cluster;
  const { index } = snapshot;
  const expected = { index, crc: replica.storedLog.endAt(index).crc };
  const none = (): never => assert.fail("no file is read");
  assert.deepEqual(await chainPointOf(snapshot, none), expected);
  const old = { ...snapshot, files: snapshot.files.map(({ crc: _crc, ...file }) => file) };
  const read = (file: string, position: number, bytes: number): Uint8Array | undefined =>
    files.get(file)?.subarray(position, position + bytes);
  assert.deepEqual(await chainPointOf(old, read), expected);
  const last = old.files.at(-1)!;
  const whole = files.get(last.file)!;
  for (const damaged of [
    undefined,
    whole.subarray(0, -1),
    Buffer.alloc(whole.length),
    Buffer.alloc(whole.length, 255),
  ]) {
    if (damaged === undefined) files.delete(last.file);
    else files.set(last.file, damaged);
    assert.equal(await chainPointOf(old, read), undefined);
  }
  const empty = { ...snapshot, index: snapshot.start.end.index, files: [] };
  assert.deepEqual(await chainPointOf(empty, none), { index: empty.index, crc: snapshot.start.end.crc });
});

test("a log sends nothing to a place with another history, and everything if it cannot compare", async () => {
  const { cluster, replica, snapshot } = await copied();
  await using _ = cluster;
  const { storedLog, state } = replica;
  const first = (index: number, crc: number): unknown => {
    for (const part of backupParts(storedLog, state, [], { index, crc })) if (part !== undefined) return part;
    return undefined;
  };
  for (const { last, crc } of snapshot.files) {
    assert.ok(first(last, crc!) !== undefined);
    assert.throws(() => first(last, crc! ^ 1), { kind: "failed-precondition", message: /another history/ });
  }
  // The caller compares the indexes.
  assert.ok(first(snapshot.index + 1, 1) !== undefined);
  await replica.log.trim(50);
  assert.ok((await compact(storedLog)) > 0);
  assert.ok(first(1, 1) !== undefined);
  const { index, crc } = storedLog.before;
  assert.ok(first(index, crc) !== undefined);
  assert.throws(() => first(index, crc + 1), /another history/);
});
