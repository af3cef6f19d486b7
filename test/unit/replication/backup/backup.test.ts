/** The backup of a log with many producers, which goes on while the backup is made. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce } from "../../../../src/lib/time/in-slices.ts";
import {
  backupParts,
  readSnapshot,
  restoreFrames,
  StableState,
  unpackOutline,
} from "../../../../src/replication/mod.ts";
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
