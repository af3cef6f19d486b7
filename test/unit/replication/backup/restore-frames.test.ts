/** The way of frames from the files of a backup into an empty log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { backupParts, readSnapshot, restoreFrames } from "../../../../src/replication/mod.ts";
import { pack, unpackChecked } from "../../../../src/replication/storage/msgpack.ts";
import { run, simMachine, valuesOf } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";

/** A backup of several files, and the end of its log. */
async function backedUp() {
  await using cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 2000 });
  const { log, storedLog, state } = (await cluster.leader()).replica!;
  for (let n = 0; n < 30; n++) await log.append(run(`value ${n}`, "x".repeat(n * 10)));
  const files = new Map<string, Uint8Array>();
  for (const part of backupParts(storedLog, state, [])) {
    if (part === undefined) continue;
    const { file, data } = part;
    files.set(file, Buffer.concat([files.get(file) ?? Buffer.alloc(0), data]));
  }
  const snapshot = readSnapshot(files.get("snapshot")!);
  assert.ok(snapshot.files.length > 3);
  return { files, snapshot, end: storedLog.endAt(snapshot.index) };
}

/** A source that streams each file in pieces of this size. */
const streamed = (files: ReadonlyMap<string, Uint8Array>, pieceBytes: number) => ({
  read: () => assert.fail("it is streamed"),
  async *stream(file: string): AsyncGenerator<Uint8Array> {
    const whole = files.get(file)!;
    for (let at = 0; at < whole.length; at += pieceBytes) yield whole.slice(at, at + pieceBytes);
  },
});

test("frames are restored from pieces that are cut anywhere", async () => {
  const { files, snapshot, end } = await backedUp();
  for (const pieceBytes of [1, 4, 5, 333, 100_000]) {
    const log = simMachine("restored").openStored();
    await restoreFrames(log, snapshot, streamed(files, pieceBytes));
    assert.deepEqual(log.endAt(snapshot.index), end);
    assert.deepEqual(valuesOf(await log.reader.read(58), 58), ["value 29", "x".repeat(290)]);
    log.close();
  }
});

test("what is restored is durable when the promise resolves", async () => {
  const { files, snapshot, end } = await backedUp();
  for (let seed = 0; seed < 5; seed++) {
    const machine = simMachine(seed);
    await restoreFrames(machine.openStored(), snapshot, streamed(files, 1000));
    machine.disk.crash();
    const log = machine.openStored();
    assert.deepEqual(log.endAt(log.end.index), end);
    log.close();
  }
});

test("a file that ends early, or has a length that cannot be right, is refused", async () => {
  const { files, snapshot } = await backedUp();
  const [, { file }] = snapshot.files as [unknown, { readonly file: string }];
  const whole = files.get(file)!;
  const huge = Uint8Array.from(whole);
  huge.set([0x7f, 0xff, 0xff, 0xff], 1);
  const cases = [
    [whole.subarray(0, whole.length - 1), /too short/],
    [whole.subarray(0, 3), /too short/],
    [new Uint8Array(0), /too short/],
    [huge, /damaged/],
  ] as const;
  for (const [damaged, message] of cases) {
    for (const pieceBytes of [3, 1000]) {
      const source = streamed(new Map([...files, [file, damaged]]), pieceBytes);
      const log = simMachine("x").openStored();
      await assert.rejects(restoreFrames(log, snapshot, source), { kind: "corrupt", message });
      log.close();
    }
  }
});

test("a manifest with a file without bytes is refused", async () => {
  const { files } = await backedUp();
  const { value } = unpackChecked(files.get("snapshot")!);
  const { files: listed } = value as { readonly files: readonly object[] };
  const empty = listed.map((file, at) => (at === 1 ? { ...file, bytes: 0 } : file));
  assert.throws(() => readSnapshot(pack({ ...(value as object), files: empty })), {
    kind: "corrupt",
    message: /has no bytes/,
  });
});
