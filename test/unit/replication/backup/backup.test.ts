/** The backup of a log with many producers, which goes on while the backup is made. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce } from "../../../../src/lib/time/in-slices.ts";
import { nameOf } from "../../../../src/replication/backup/backup-manifest.ts";
import {
  backupParts,
  readSnapshot,
  restoreFrames,
  StableState,
  unpackOutline,
} from "../../../../src/replication/mod.ts";
import { pack, unpack } from "../../../../src/replication/storage/msgpack.ts";
import { simMachine } from "../../../support/log/logs.ts";
import { appendTo, startAt, withManyProducers } from "../../../support/log/many-producers.ts";

test("a backup is of the moment when it begins, although appends go on between its steps", async () => {
  const machine = simMachine("backup");
  const log = machine.openStored(withManyProducers);
  await log.rows.prepare(startAt(20_000, 9000));
  log.reset(startAt(20_000, 9000));
  for (let n = 0; n < 5; n++) appendTo(log);
  const expected = { index: log.commitIndex, producers: log.state.producers.rows() };
  const files = new Map<string, Uint8Array>();
  let pauses = 0;
  for (const part of backupParts(log, new StableState(machine.store), [])) {
    appendTo(log);
    if (part === undefined) pauses++;
    else files.set(part.file, Buffer.concat([files.get(part.file) ?? Buffer.alloc(0), part.data]));
  }
  assert.ok(pauses > 1, "the producers are copied in several steps");
  assert.ok(log.commitIndex > expected.index);
  log.close();
  const bytes = files.get("snapshot")!;
  const snapshot = readSnapshot(bytes);
  assert.deepEqual(snapshot.start.checkpoint.producers, startAt(20_000, 9000).checkpoint.producers);
  const { start, ...outline } = atOnce(unpackOutline(bytes));
  assert.deepEqual({ ...outline, start: { ...snapshot.start, ...start } }, snapshot);
  const restored = simMachine("restored").openStored(withManyProducers);
  const read = (file: string, position: number, count: number) =>
    files.get(file)!.subarray(position, position + count);
  await restoreFrames(restored, snapshot, { read });
  assert.equal(restored.commitIndex, expected.index);
  assert.deepEqual(restored.state.producers.rows(), expected.producers);
  restored.close();
});

test("the files of a large backup are checked in steps", () => {
  const machine = simMachine("backup");
  const log = machine.openStored(withManyProducers);
  const part = [...backupParts(log, new StableState(machine.store), [])].find((one) => one !== undefined);
  log.close();
  const snapshot = unpack(part!.data) as { start: { end: { index: number } } };
  const before = snapshot.start.end.index;
  const files = Array.from({ length: 2_000 }, (_, at) => {
    const fields = { first: before + at + 1, last: before + at + 1, bytes: 100, crc: at };
    return { ...fields, file: nameOf(fields) };
  });
  const manifest = { ...snapshot, index: before + files.length, files };
  const steps = unpackOutline(pack(manifest));
  let pauses = 0;
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) pauses++;
  assert.deepEqual(step.value.files, files);
  assert.ok(pauses >= 7, `${pauses} pauses`);
  files[1_500] = { ...files[1_500]!, file: "../lock" };
  assert.throws(() => readSnapshot(pack(manifest)), {
    kind: "corrupt",
    message: /names the file \.\.\/lock/,
  });
});
