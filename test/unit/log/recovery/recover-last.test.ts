import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import { groupBytesMax } from "../../../../src/log/frame/frame-group.ts";
import {
  batchKind,
  defaultSettings,
  encodeSettings,
  frameBytes,
  frameCrc,
  type SegmentedLog,
} from "../../../../src/log/mod.ts";
import { allValues, run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

const store = `${simDirectory}/log/00000000000000000001.store`;
const index = `${simDirectory}/log/00000000000000000001.index`;
const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";

/** A log with three synced records that have receipts, then killed; and the frames that a fourth to sixth record would have been. */
async function crashed(): Promise<{
  machine: SimMachine;
  bytes: number;
  group: Uint8Array;
  frames: Uint8Array[];
}> {
  const machine = simMachine(1);
  const log = await machine.open();
  for (const value of ["a", "b", "c"]) await log.append(run(value));
  machine.clock.advance(5);
  const { bytes } = await log.describe();
  const builder = new GroupBuilder(1000);
  for (const value of ["d", "e", "f"]) builder.add(run(value), undefined, true);
  const { group } = sealGroup(builder, log.storedLog.end, 1, machine.clock.nowMs);
  const frames = [0, 1, 2].map((k) => group.bytes.slice(group.positions[k], group.positions[k + 1]));
  machine.disk.kill();
  return { machine, bytes, group: group.bytes, frames };
}

function write({ disk }: SimMachine, path: string, bytes: Uint8Array, position: number): void {
  const file = disk.open(path, "write");
  file.write(bytes, position);
  file.sync();
}

test("a group that is torn at any byte is cut after its last whole frame, kept in a file and counted", async () => {
  const { frames, group } = await crashed();
  const ends = [0, frames[0]!.length, frames[0]!.length + frames[1]!.length, group.length];
  for (let cut = 1; cut < group.length; cut++) {
    const { machine, bytes } = await crashed();
    write(machine, store, group.subarray(0, cut), bytes);
    const log = await machine.open();
    const whole = ends.filter((end) => end <= cut).length - 1;
    assert.deepEqual(await allValues(log), ["a", "b", "c", "d", "e", "f"].slice(0, 3 + whole));
    // Zeros at its end are not kept.
    const end = group.subarray(0, cut).findLastIndex((byte) => byte !== 0) + 1;
    const { cut: report } = log.storedLog.recovery;
    if (end <= ends[whole]!) assert.equal(report, undefined);
    else {
      assert.deepEqual(report, {
        file: `${store}.${bytes + ends[whole]!}.cut`,
        position: bytes + ends[whole]!,
        bytes: end - ends[whole]!,
      });
      assert.equal(Buffer.compare(machine.disk.contents(report.file), group.subarray(ends[whole], end)), 0);
    }
    await log.close();
  }
});

test("a group that is torn in its middle with a later whole frame is cut, it is not corruption", async () => {
  const { machine, bytes, group, frames } = await crashed();
  const torn = group.slice();
  torn.fill(0, 20, frames[0]!.length); // the first frame's later sectors did not reach the disk
  write(machine, store, torn, bytes);
  const log = await machine.open();
  assert.deepEqual(await allValues(log), ["a", "b", "c"]);
  assert.equal(log.storedLog.recovery.cut?.bytes, group.length);
  assert.equal((await log.append(run("d2"))).firstOffset, 3);
});

test("a damaged frame with a receipt is corruption, also if it is the last one", async () => {
  const { machine, bytes } = await crashed();
  machine.disk.flipBit(store, 8 * (bytes - 1));
  await assert.rejects(machine.open(), isCorrupt);
});

test("a bad frame with more than one write group after it is corruption, also without a receipt", async () => {
  const { machine, bytes, frames } = await crashed();
  write(machine, store, frames[1]!, bytes);
  write(machine, store, Uint8Array.of(1), bytes + groupBytesMax);
  await assert.rejects(machine.open(), isCorrupt);
});

test("the same is a torn end if the node did not sync every group", async () => {
  const { machine, bytes, frames } = await crashed();
  const log = await machine.open({}, { sync: "never" });
  machine.disk.kill();
  assert.equal(log.storedLog.failure, undefined);
  write(machine, store, frames[1]!, bytes);
  write(machine, store, Uint8Array.of(1), bytes + groupBytesMax);
  const again = await machine.open();
  assert.deepEqual(await allValues(again), ["a", "b", "c"]);
});

test("after a cut suffix, shorter frames and a crash, no old frame after them comes back", async () => {
  const machine = simMachine(1);
  const stage = (log: SegmentedLog, term: number, ...values: string[]): void => {
    const builder = new GroupBuilder(1000);
    if (log.end.index === 0) builder.addCommand(batchKind.settings, encodeSettings(defaultSettings));
    for (const value of values) builder.add(run(value), undefined, true);
    const { group } = sealGroup(builder, log.end, term, 5);
    log.stageChecked(group);
    log.flushNow();
  };
  const log = machine.openStored();
  stage(log, 1, "keep", "old first, long".padEnd(60), "old second");
  const old = machine.disk.contents(store);
  log.truncateSuffix(3);
  // The new frame is exactly as long, so that the old one behind it would stand at just the right place.
  stage(log, 2, "new first, long".padEnd(60));
  const { length } = machine.disk.contents(store);
  machine.disk.kill();
  write(machine, store, old.subarray(length), length);
  assert.equal(machine.disk.contents(store).length, old.length);
  const again = machine.openStored();
  assert.equal(again.end.index, 3);
  assert.equal(again.term(3), 2);
  assert.equal(again.recovery.cut?.position, length);
});

test("frames without a receipt are written again and synced before they are served", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const machine = simMachine(seed);
    const log = await machine.open();
    await log.append(run("durable"));
    // The sync fails, the process dies, and the bytes are still in the page cache.
    machine.disk.faults.syncFails = 1;
    await assert.rejects(log.append(run("in the cache")), (reason) => {
      assert.ok(reason instanceof Fault && reason.cause instanceof Fault);
      assert.deepEqual([reason.written, reason.cause.kind], ["unknown", "disk-failed"]);
      return true;
    });
    machine.disk.kill();
    const again = await machine.open();
    const served = await allValues(again);
    assert.deepEqual(served, ["durable", "in the cache"]);
    assert.ok(again.storedLog.recovery.rewrittenBytes > 0);
    machine.disk.crash();
    assert.deepEqual(await allValues(await machine.open()), served);
  }
});

test("after a failed sync nothing is written, and every append fails as not written or unknown", async () => {
  const machine = simMachine(3);
  const log = await machine.open();
  await log.append(run("a"));
  machine.disk.faults.syncFails = 1;
  const outcomes = await Promise.allSettled([log.append(run("b")), log.append(run("c"))]);
  for (const { status } of outcomes) assert.equal(status, "rejected");
  const written = machine.disk.counts.write;
  await assert.rejects(log.append(run("d")), (reason) => {
    assert.ok(reason instanceof Fault && reason.kind === "disk-failed");
    assert.equal(reason.written, "no");
    return true;
  });
  assert.equal(machine.disk.counts.write, written);
  assert.equal((await log.failed).kind, "disk-failed");
  assert.deepEqual(await allValues(log), ["a"]);
});

test("an index entry is a receipt only after its frame was synced", async () => {
  const machine = simMachine(4);
  const log = await machine.open();
  await log.append(run("a"));
  const before = machine.disk.contents(index).length;
  machine.disk.faults.syncFails = 1;
  await assert.rejects(log.append(run("b")));
  assert.equal(machine.disk.contents(index).length, before);
});

test("after a close nothing is written again", async () => {
  const { machine } = await crashed();
  await (await machine.open()).close();
  const log = await machine.open();
  assert.equal(log.storedLog.recovery.rewrittenBytes, 0);
  assert.equal(log.storedLog.recovery.indexRebuilt, false);
});

test("a roll that a power failure interrupts at any point is finished or undone", async () => {
  for (let operations = 0; operations < 25; operations++) {
    const machine = simMachine(operations);
    const log = await machine.open({ segmentStoreBytesMax: 400 });
    await log.append(run("a"));
    machine.disk.crashAfter(operations);
    const tried = await Promise.allSettled([log.append(run("b".repeat(200))), log.append(run("c"))]);
    machine.disk.crash();
    const again = await machine.open({ segmentStoreBytesMax: 400 });
    const acked = tried.filter(({ status }) => status === "fulfilled").length;
    const found = await allValues(again);
    assert.ok(found.length > acked && found[0] === "a");
    await again.append(run("d"));
    assert.equal((await allValues(again)).length, found.length + 1);
  }
});

test("each frame holds the checksum of the frame before", async () => {
  const { machine } = await crashed();
  const bytes = machine.disk.contents(store);
  let previous = 0;
  for (let at = 0; at < bytes.length; at += frameBytes(bytes, at)) {
    assert.equal(new DataView(bytes.buffer).getUint32(at + 11, true), previous);
    previous = frameCrc(bytes, at);
  }
});
