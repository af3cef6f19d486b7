/** When the entries of the index file are written: soon after the sync of their frames, and never before it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import { indexHeaderBytes } from "../../../../src/log/index/index-file.ts";
import { entryBytes } from "../../../../src/log/index/offset-index.ts";
import type { SegmentedLog } from "../../../../src/log/mod.ts";
import { run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

const receiptsMs = 5;

function opened(): { machine: SimMachine; log: SegmentedLog; receipts: () => number } {
  const machine = simMachine("receipts");
  machine.disk.makeDirectory(simDirectory);
  const log = machine.openStored();
  const receipts = (): number => {
    const name = machine.disk.list(`${simDirectory}/log`).find((one) => one.endsWith(".index"))!;
    return (machine.disk.contents(`${simDirectory}/log/${name}`).length - indexHeaderBytes) / entryBytes;
  };
  return { machine, log, receipts };
}

function stage(log: SegmentedLog, { clock }: SimMachine): void {
  const builder = new GroupBuilder(1000);
  builder.add(run(`${log.end.index}`), undefined, true);
  log.stageChecked(sealGroup(builder, log.end, 1, clock.nowMs).group);
}

test("the receipts of all groups of a moment are written at once, after them", async () => {
  const { machine, log, receipts } = opened();
  for (const flush of [() => log.flushNow(), () => log.flush(), () => log.flushNow()]) {
    stage(log, machine);
    await flush();
  }
  assert.deepEqual([log.syncedIndex, receipts()], [3, 0]);
  const { write } = machine.disk.counts;
  machine.clock.advance(receiptsMs);
  assert.deepEqual([receipts(), machine.disk.counts.write], [3, write + 1]);
  log.close();
});

test("a log that is closed at once has all receipts", () => {
  const { machine, log, receipts } = opened();
  stage(log, machine);
  log.flushNow();
  log.close();
  assert.equal(receipts(), 1);
  machine.clock.advance(receiptsMs);
  assert.equal(receipts(), 1);
});

test("a sync of the index file includes the receipts that are due", () => {
  const { machine, log, receipts } = opened();
  stage(log, machine);
  log.flushNow();
  log.syncIndex();
  machine.disk.odds = { keep: 0, tear: 0 };
  machine.disk.crash();
  assert.equal(receipts(), 1);
});

test("no frame has a receipt before it is synced", async () => {
  const { machine, log, receipts } = opened();
  stage(log, machine);
  log.flushNow();
  stage(log, machine);
  await log.flush(false);
  machine.clock.advance(receiptsMs);
  assert.deepEqual([log.durableIndex, log.syncedIndex, receipts()], [2, 1, 1]);
});

test("a group that is written and synced in one step makes what was only written before durable as well", async () => {
  const { machine, log } = opened();
  stage(log, machine);
  await log.flush(false);
  stage(log, machine);
  await log.flush();
  assert.equal(log.syncedIndex, 2);
  machine.disk.odds = { keep: 0, tear: 0 };
  machine.disk.crash();
  assert.equal(machine.openStored().end.index, 2);
});
