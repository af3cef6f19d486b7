import assert from "node:assert/strict";
import { test } from "node:test";
import { frameBytes } from "../../../../src/log/mod.ts";
import { backupParts, readSnapshot, restoreFrames, verifyBackup } from "../../../../src/replication/mod.ts";
import { run, simMachine } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";

/** A backup of a log with several segments, a trim and a configuration. */
async function copied(): Promise<{
  files: Map<string, Uint8Array>;
  snapshot: ReturnType<typeof readSnapshot>;
}> {
  await using cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 1500 });
  const { replica } = await cluster.leader();
  assert.ok(replica !== undefined);
  for (let n = 0; n < 30; n++) await replica.log.append(run(`value ${n}`, "x".repeat(100)));
  await replica.log.trim(7);
  const files = new Map<string, Uint8Array>();
  for (const part of backupParts(replica.storedLog, replica.state, [])) {
    if (part === undefined) continue;
    const { file, data } = part;
    files.set(file, Buffer.concat([files.get(file) ?? Buffer.alloc(0), data]));
  }
  return { files, snapshot: readSnapshot(files.get("snapshot")!) };
}

const sourceOf = (files: ReadonlyMap<string, Uint8Array>) => ({
  size: (file: string) => files.get(file)?.length,
  read: (file: string, position: number, bytes: number) =>
    files.get(file)!.subarray(position, position + bytes),
});

test("a complete backup has no findings; a damaged, short, long or missing file is found, and the files after it are checked", async () => {
  const { files, snapshot } = await copied();
  assert.ok(snapshot.files.length > 3);
  const { findings, records, lowest, next } = await verifyBackup(snapshot, sourceOf(files));
  assert.deepEqual([findings, records, lowest, next], [[], 53, 7, 60]);

  const [first, second, third] = snapshot.files.map(({ file }) => file) as [string, string, string];
  const changed = async (file: string, change: (bytes: Uint8Array) => Uint8Array | undefined) => {
    const copy = new Map(files);
    const bytes = change(Uint8Array.from(files.get(file)!));
    if (bytes === undefined) copy.delete(file);
    else copy.set(file, bytes);
    return (await verifyBackup(snapshot, sourceOf(copy))).findings.map((found) => [found.file, found.kind]);
  };
  const length = files.get(second)!.length;
  for (let at = 0; at < length; at += 7) {
    const found = await changed(second, (bytes) => {
      bytes[at]! ^= 0x10;
      return bytes;
    });
    assert.deepEqual(
      found.map(([file]) => file),
      [second],
      `byte ${at}`,
    );
  }
  assert.deepEqual(await changed(second, () => undefined), [[second, "missing"]]);
  assert.deepEqual(await changed(second, (bytes) => bytes.subarray(0, length - 3)), [
    [second, "length"],
    [second, "short"],
  ]);
  assert.deepEqual(await changed(second, (bytes) => bytes.subarray(0, frameBytes(bytes, 0))), [
    [second, "length"],
    [second, "index"],
  ]);
  assert.deepEqual(await changed(second, (bytes) => Buffer.concat([bytes, Buffer.alloc(9)])), [
    [second, "length"],
  ]);
  assert.deepEqual((await changed(second, () => files.get(third)!)).map(([file]) => file)[0], second);
  const both = new Map(files);
  both.set(
    first,
    Uint8Array.from(files.get(first)!, (byte, at) => (at === 70 ? byte ^ 1 : byte)),
  );
  both.set(
    third,
    Uint8Array.from(files.get(third)!, (byte, at) => (at === 70 ? byte ^ 1 : byte)),
  );
  assert.deepEqual(
    (await verifyBackup(snapshot, sourceOf(both))).findings.map(({ file }) => file),
    [first, third],
  );
});

test("whole frames that are not those of the manifest are found, and refused by a restore", async () => {
  const { files, snapshot } = await copied();
  for (const at of [0, snapshot.files.length - 1]) {
    const named = snapshot.files.map((file, n) => (n === at ? { ...file, crc: file.crc! ^ 1 } : file));
    const other = { ...snapshot, files: named };
    const { file } = named[at]!;
    assert.deepEqual((await verifyBackup(other, sourceOf(files))).findings, [
      { file, position: 0, kind: "chain" },
    ]);
    await assert.rejects(restoreFrames(simMachine("x").openStored(), other, sourceOf(files)), {
      kind: "corrupt",
      message: `${file} is not the file that the snapshot of the backup names (checksum)`,
    });
  }
});
