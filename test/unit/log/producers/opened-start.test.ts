/** The start of a log with many producers is read in steps, while the log goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce } from "../../../../src/lib/time/in-slices.ts";
import type { OpenedStart, SegmentedLog } from "../../../../src/log/mod.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { compact, simDirectory, simMachine } from "../../../support/log/logs.ts";
import { appendTo, fileOfStart, startAt, withManyProducers } from "../../../support/log/many-producers.ts";

const bytesOf = ({ producers }: OpenedStart): Uint8Array => {
  const target = new Uint8Array(producers.bytes);
  atOnce(producers.copyTo(target));
  producers.close();
  return target;
};

async function logAt(index: number, producers: number, options = withManyProducers) {
  const machine = simMachine(`start ${index}`);
  const disk = new RefusingDisk(machine.disk);
  const log = machine.openStored({ ...options, disk });
  const start = startAt(index, producers);
  await log.rows.prepare(start);
  log.reset(start);
  appendTo(log);
  return { machine, disk, log };
}

/** Appends until the first segment can be removed, and removes it. */
async function beginLater(log: SegmentedLog): Promise<void> {
  const { index } = log.before;
  for (let n = 0; n < 200 && log.before.index === index; n++) {
    appendTo(log, { trims: true, bytes: 40_000 });
    await log.rows.settled();
    await compact(log);
  }
  assert.ok(log.before.index > index, "the log begins later");
}

test("the producers are those of the start, also if the log begins later before the last step", async () => {
  const { log, machine } = await logAt(20_000, 9000);
  const expected = bytesOf(log.rows.openStart());
  assert.ok(expected.length > 256 * 1024, "more than one step");
  const opened = log.rows.openStart();
  assert.deepEqual([opened.end.index, opened.producers.count, opened.producers.inFile], [20_000, 9000, true]);
  const target = new Uint8Array(opened.producers.bytes);
  const steps = opened.producers.copyTo(target);
  steps.next();
  await beginLater(log);
  assert.deepEqual(fileOfStart(machine), [], "the file is removed");
  atOnce(steps);
  opened.producers.close();
  assert.deepEqual(Buffer.compare(target, expected), 0);
  log.close();
});

test("few producers are packed at once, to the same bytes as a file has", async () => {
  const few = await logAt(100, 20, { ...withManyProducers, inlineProducersMax: 100 });
  const many = await logAt(100, 20);
  const [one, other] = [few.log.rows.openStart(), many.log.rows.openStart()];
  assert.deepEqual([one.producers.inFile, other.producers.inFile], [false, true]);
  assert.deepEqual(bytesOf(one), bytesOf(other));
  few.log.close();
  many.log.close();
});

test("a file that is damaged, cut, or missing is damage; one that cannot be opened now is not", async () => {
  const { log, machine, disk } = await logAt(100, 20);
  const [name] = fileOfStart(machine);
  const path = `${simDirectory}/log/${name}`;
  disk.refuse = (operation, of) => (operation === "open" && of === path ? "EMFILE" : undefined);
  assert.throws(() => log.rows.openStart(), { kind: "disk-busy" });
  disk.refuse = () => undefined;
  machine.disk.flipBit(path, 99);
  assert.throws(() => bytesOf(log.rows.openStart()), { kind: "corrupt" });
  machine.disk.flipBit(path, 99);
  const file = machine.disk.open(path, "write");
  file.truncate(file.size() - 1);
  file.close();
  assert.throws(() => bytesOf(log.rows.openStart()), { kind: "corrupt" });
  machine.disk.remove(path);
  assert.throws(() => log.rows.openStart(), { kind: "corrupt" });
  log.close();
});
