import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { verifyLog } from "../../../../src/log/mod.ts";
import { scanSegment } from "../../../../src/log/rows/base-fold.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";
import {
  fill,
  longValue,
  openSettling,
  passTime,
  readable,
  sealedBytes,
} from "../../../support/log/settling-log.ts";

const rounds = 14;
const settlePace = { firstPassMs: 100, restMs: 0, nextPassMs: 100_000 };

/** A machine on which two of three logs can be settled. Nothing is settled yet. */
async function unsettled(seed: number): Promise<SimMachine> {
  const machine = simMachine(seed);
  const log = await openSettling(machine, { settlePace: { firstPassMs: 1e9 } });
  await fill(log, ["keep", "gone", "deleted"], rounds);
  await log.trim(rounds - 2, { log: { name: "gone" } });
  await log.change({ kind: "delete", log: { name: "deleted" } });
  await passTime(machine, log, 2_000);
  assert.equal(log.storedLog.state.logs.level, 3);
  await log.close();
  return machine;
}

async function check(log: OneNodeLog, what: string): Promise<void> {
  const expected = (name: string, from: number) =>
    Array.from({ length: rounds - from }, (_, n) => longValue(name, from + n));
  assert.deepEqual(await readable(log, "keep"), [0, expected("keep", 0)], what);
  assert.deepEqual(await readable(log, "gone"), [rounds - 2, expected("gone", rounds - 2)], what);
  assert.equal(log.storedLog.damage, undefined, what);
}

/** A power cut can tear the index of the last segment. Opening writes it again. */
function verify({ disk, store }: SimMachine): unknown {
  using report = verifyLog({ directory: simDirectory, disk, store });
  const last = disk.list("/data/log").findLast((name) => name.endsWith(".index"));
  return report.findings.filter(({ file }) => file !== last);
}

const settledFiles = ({ disk }: SimMachine): string[] =>
  disk.list("/data/log").filter((name) => name.endsWith(".settled"));

test("a power cut at each operation of the disk while segments are settled loses nothing", async () => {
  const filled = await unsettled(1);
  const [diskImage, storeImage] = [filled.disk.image(), filled.store.image()];
  let finished = 0;
  for (let operation = 0; ; operation++) {
    const machine = simMachine(100 + operation);
    machine.disk.restoreImage(diskImage);
    machine.store.restoreImage(storeImage);
    const log = await openSettling(machine, { settlePace });
    const before = sealedBytes(log);
    machine.disk.crashAfter(operation);
    await passTime(machine, log, 1_000);
    const what = `cut in operation ${operation}`;
    const isOver = machine.disk.counts.crash === 0;
    if (isOver) machine.disk.kill();
    if (isOver) assert.ok(log.storedLog.settler!.totals.segments >= 3, "several segments were settled");
    const waited = machine.store.get("log/settling") !== undefined;
    assert.deepEqual(verify(machine), [], what);
    const again = await openSettling(machine, { settleBytesPerSecond: 0 });
    if (waited && sealedBytes(again) < before) finished++;
    assert.equal(machine.store.get("log/settling"), undefined, what);
    assert.deepEqual(settledFiles(machine), [], what);
    await check(again, what);
    await again.close();
    assert.deepEqual(verify(machine), [], what);
    if (isOver) break;
  }
  assert.ok(finished >= 6, `the next start finished ${finished} replacements`);
});

test("a copy that the disk refuses changes nothing, and is made later", async () => {
  for (const [operation, code] of [
    ["open", "EMFILE"],
    ["write", "ENOSPC"],
    ["write", "EIO"],
  ] as const) {
    const machine = await unsettled(2);
    const disk = new RefusingDisk(machine.disk);
    disk.refuse = (one, path) => (one === operation && path.endsWith(".settled") ? code : undefined);
    const log = await openSettling(machine, { settlePace: { ...settlePace, retryMs: 5_000 }, disk });
    const before = sealedBytes(log);
    await passTime(machine, log, 3_000);
    const what = `${operation} ${code}`;
    assert.ok(disk.refused.length > 0, what);
    assert.equal(log.failure, undefined, what);
    assert.equal(sealedBytes(log), before, what);
    assert.deepEqual(settledFiles(machine), [], what);
    disk.refuse = () => undefined;
    await passTime(machine, log, 6_000);
    assert.ok(sealedBytes(log) < before, what);
    await check(log, what);
  }
});

test("a failed sync of a copy, and a replacement that stops half-way, fail the log; the next start finishes it", async () => {
  for (const [operation, suffix] of [
    ["sync", ".store.settled"],
    ["rename", ".index"],
  ] as const) {
    const machine = await unsettled(3);
    const disk = new RefusingDisk(machine.disk);
    disk.refuse = (one, path) => (one === operation && path.endsWith(suffix) ? "EIO" : undefined);
    const log = await openSettling(machine, { settlePace, disk });
    await passTime(machine, log, 2_000);
    assert.equal(log.failure?.kind, "disk-failed", operation);
    // The files of a segment can be those of before and after. No reader may take that for damage, which the catalog would remember.
    for (const segment of log.storedLog.sealed) {
      try {
        segment.checkIndex();
        for (const _ of scanSegment(segment, () => undefined));
      } catch (reason) {
        assert.equal(Fault.from(reason).kind, "unavailable", `${operation}: ${Fault.from(reason).message}`);
      }
    }
    assert.equal(log.storedLog.damage, undefined, operation);
    log.kill();
    machine.disk.kill();
    assert.deepEqual(verify(machine), [], operation);
    const again = await openSettling(machine, { settleBytesPerSecond: 0 });
    assert.deepEqual(settledFiles(machine), [], operation);
    await check(again, operation);
    await again.close();
    assert.deepEqual(verify(machine), [], operation);
  }
});

test("a full disk frees the space that is kept for settling, and takes it again", async () => {
  const machine = await unsettled(4);
  const used = [...machine.disk.image().files.values()].reduce((sum, { length }) => sum + length, 0);
  machine.disk.capacityBytes = 16 * 8_000;
  const log = await openSettling(machine, { settlePace: { ...settlePace, nextPassMs: 1_000 } });
  const reserve = "/data/reserve-settling";
  assert.equal(machine.disk.contents(reserve).length, 6_000);
  machine.disk.capacityBytes = used + 6_000 + 100;
  const before = sealedBytes(log);
  await passTime(machine, log, 5_000);
  assert.ok(sealedBytes(log) < before);
  await check(log, "full");
  machine.disk.capacityBytes = 16 * 8_000;
  await passTime(machine, log, 5_000);
  assert.equal(machine.disk.contents(reserve).length, 6_000);
});

test("damage that the copy finds is reported, and the segment stays as it is", async () => {
  const machine = await unsettled(5);
  const stores = machine.disk.list("/data/log").filter((name) => name.endsWith(".store"));
  const log = await openSettling(machine, { settlePace });
  machine.disk.flipBit(`/data/log/${stores[1]}`, 8 * 2_000);
  const bytes = log.storedLog.sealed[1]!.bytes;
  await passTime(machine, log, 2_000);
  assert.equal(log.storedLog.damage?.kind, "corrupt");
  assert.equal(log.storedLog.damagedSegments, 1);
  assert.equal(log.storedLog.sealed[1]!.bytes, bytes);
  assert.ok(log.storedLog.settler!.totals.segments > 0, "the others are settled");
  assert.deepEqual(settledFiles(machine), []);
});
