/** A log that is reset to a start with many producers, as a snapshot brings it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type SegmentedLog, verifyLog } from "../../../../src/log/mod.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { compact, simMachine } from "../../../support/log/logs.ts";
import {
  appendTo,
  fileOfStart,
  withManyProducers as options,
  startAt,
} from "../../../support/log/many-producers.ts";

test("the producers of a start are in a file, which the first segment uses as well", async () => {
  const machine = simMachine(1);
  let log = machine.openStored(options);
  for (const index of [40, 90]) {
    const start = startAt(index);
    assert.ok(log.rows.needsPreparation(start));
    await log.rows.prepare(start);
    log.reset(start);
    assert.deepEqual(fileOfStart(machine), [`${String(index + 1).padStart(20, "0")}.start-producers`]);
  }
  const expected = startAt(90).checkpoint.producers;
  const check = (): void => {
    assert.deepEqual(log.state.producers.rows(), expected);
    assert.deepEqual(startOf(log).checkpoint.producers, expected);
  };
  const reopen = (): void => {
    log.close();
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    log = machine.openStored(options);
    check();
  };
  check();
  reopen();
  appendTo(log, { produces: false });
  check();
  reopen();
  assert.equal(fileOfStart(machine).length, 1);
  log.close();
});

test("a reset that stops at any operation of the disk leaves the log before or the one after it", async () => {
  const machine = simMachine(2);
  const log = machine.openStored(options);
  const [first, second] = [startAt(40), startAt(90)];
  await log.rows.prepare(first);
  log.reset(first);
  appendTo(log, { produces: false });
  log.close();
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  const seen = new Set<number>();
  for (let operations = 0, isOver = false; !isOver; operations++) {
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
    const opened = machine.openStored(options);
    machine.disk.crashAfter(operations);
    try {
      await opened.rows.prepare(second);
      opened.reset(second);
      appendTo(opened, { produces: false });
      isOver = true;
    } catch {
      // The power failure.
    }
    machine.disk.crash();
    const again = machine.openStored(options);
    const { index } = again.before;
    seen.add(index);
    const expected = (index === 40 ? first : second).checkpoint.producers;
    assert.deepEqual(startOf(again).checkpoint.producers, expected, `after ${operations} operations`);
    assert.deepEqual(again.state.producers.rows(), expected);
    assert.equal(fileOfStart(machine).length, 1);
    again.close();
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    assert.ok(operations < 200);
  }
  assert.deepEqual([...seen].sort(), [40, 90]);
});

/** A log that was reset, with so many frames after the start, and what the catalog holds of the start. */
async function afterStart(index: number) {
  const machine = simMachine(index);
  const log = machine.openStored(options);
  await log.rows.prepare(startAt(index));
  log.reset(startAt(index));
  appendTo(log);
  const stored = (): unknown =>
    (machine.store.get("log/start") as { checkpoint: { producers: unknown } }).checkpoint.producers;
  return { machine, log, stored };
}

/** Appends until the log can begin with a later segment. */
async function fillSegments(log: SegmentedLog): Promise<void> {
  for (let n = 0; log.segments.length < 3 && n < 20; n++) {
    appendTo(log, { trims: true, bytes: 40_000 });
    await log.rows.settled();
  }
}

test("the file goes with the first segment, and the log opens without it", async () => {
  const { machine, log, stored } = await afterStart(60);
  await fillSegments(log);
  assert.equal(fileOfStart(machine).length, 1, "the first segment needs it");
  assert.ok((await compact(log)) > 0);
  assert.deepEqual([fileOfStart(machine), stored()], [[], null]);
  const expected = [log.state.producers.rows(), startOf(log).checkpoint.producers];
  log.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  const again = machine.openStored(options);
  assert.deepEqual([again.state.producers.rows(), startOf(again).checkpoint.producers], expected);
  assert.deepEqual(fileOfStart(machine), []);
  again.close();
});

test("a removal of the first segment that stops at any operation of the disk leaves no file, and the producers of the new start", async () => {
  const { machine, log } = await afterStart(60);
  await fillSegments(log);
  log.close();
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  for (let operations = 0, isOver = false; !isOver; operations++) {
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
    const opened = machine.openStored(options);
    assert.equal(fileOfStart(machine).length, 1);
    machine.disk.crashAfter(operations);
    try {
      await compact(opened);
      opened.close();
      isOver = true;
    } catch {
      // The power failure.
    }
    machine.disk.crash();
    const again = machine.openStored(options);
    assert.deepEqual(fileOfStart(machine), [], `after ${operations} operations`);
    assert.ok(startOf(again).checkpoint.producers.length > 6);
    again.close();
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    assert.ok(operations < 200);
  }
});

test("a first segment that is cut off as a whole leaves the file to the next one", async () => {
  const machine = simMachine(9);
  const log = machine.openStored(options);
  await log.rows.prepare(startAt(60));
  log.reset(startAt(60));
  appendTo(log, { commits: false });
  log.truncateSuffix(61);
  const expected = startAt(60).checkpoint.producers;
  const check = (of: SegmentedLog): void => {
    assert.deepEqual(startOf(of).checkpoint.producers, expected);
    assert.deepEqual(of.state.producers.rows(), expected);
    assert.equal(fileOfStart(machine).length, 1);
  };
  check(log);
  log.close();
  const again = machine.openStored(options);
  check(again);
  appendTo(again);
  again.close();
  const last = machine.openStored(options);
  assert.deepEqual(startOf(last).checkpoint.producers, expected);
  assert.equal(last.end.index, 61);
  last.close();
});
