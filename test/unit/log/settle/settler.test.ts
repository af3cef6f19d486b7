import assert from "node:assert/strict";
import { test } from "node:test";
import { batchKind, frameIndex, frameKind, type SegmentedLog, verifyLog } from "../../../../src/log/mod.ts";
import { scanSegment } from "../../../../src/log/rows/base-fold.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import {
  fill,
  longValue,
  openSettling,
  passTime,
  readable,
  sealedBytes,
} from "../../../support/log/settling-log.ts";
import { MemoryRowStore } from "../../../support/rows/memory-row-store.ts";

const names = ["keep", "gone", "deleted", undefined];
const rounds = 30;

function framesOf(log: SegmentedLog): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = log.firstIndex; at <= log.end.index; at += 1) frames.push(...log.entries(at, 1, at));
  return frames;
}

const settledOf = (log: SegmentedLog): number =>
  framesOf(log).filter((frame) => frameKind(frame, 0) === batchKind.settled).length;

const findingsOf = ({ disk, store, rowStore }: SimMachine): unknown => {
  using report = verifyLog({ directory: simDirectory, disk, store, rowStore });
  return report.findings;
};

test("what trimmed and deleted logs held is given back, and everything else can be read", async () => {
  const machine = simMachine(1);
  const log = await openSettling(machine);
  await fill(log, names, rounds);
  await log.trim(rounds - 1, { log: { name: "gone" } });
  await log.trim(10);
  await log.change({ kind: "delete", log: { name: "deleted" } });
  const before = sealedBytes(log);
  const rows = JSON.stringify([...log.storedLog.state.logs.rows()]);
  await passTime(machine, log);
  const { settler } = log.storedLog;
  assert.ok(settler!.totals.segments > 3, `${settler!.totals.segments} segments`);
  assert.equal(before - sealedBytes(log), settler!.totals.freedBytes);
  assert.ok(sealedBytes(log) < 0.75 * before, `${sealedBytes(log)} of ${before} bytes are left`);
  assert.equal(settledOf(log.storedLog), settler!.totals.frames);
  const expected = (name: string, from: number) =>
    Array.from({ length: rounds - from }, (_, n) => longValue(name, from + n));
  const check = async (opened: typeof log): Promise<void> => {
    assert.deepEqual(await readable(opened, "keep"), [0, expected("keep", 0)]);
    assert.deepEqual(await readable(opened, "gone"), [rounds - 1, expected("gone", rounds - 1)]);
    assert.deepEqual(await readable(opened, undefined), [10, expected("default", 10)]);
    assert.equal(JSON.stringify([...opened.storedLog.state.logs.rows()]), rows);
    assert.equal(opened.storedLog.damage, undefined);
  };
  await check(log);
  await log.close();
  assert.deepEqual(findingsOf(machine), []);
  const again = await openSettling(machine);
  await check(again);
  // The rows are the same without their database: from the frames, whole and settled.
  await again.close();
  const rowStore = new MemoryRowStore(machine.disk);
  await check(await openSettling(machine, { settleBytesPerSecond: 0, rowStore }));
});

test("a settled segment is settled again when more of it cannot be read, and not before", async () => {
  const machine = simMachine(2);
  const log = await openSettling(machine);
  await fill(log, ["keep", "a", "b"], 20);
  await log.trim(19, { log: { name: "a" } });
  await passTime(machine, log);
  const first = log.storedLog.settler!.totals;
  assert.ok(first.segments > 0);
  await passTime(machine, log, 120_000);
  assert.deepEqual(log.storedLog.settler!.totals, first);
  await log.trim(19, { log: { name: "b" } });
  await passTime(machine, log);
  const second = log.storedLog.settler!.totals;
  assert.ok(second.segments > first.segments && second.frames > first.frames);
  assert.equal(second.frames, settledOf(log.storedLog));
  assert.equal((await readable(log, "keep"))[1].length, 20);
});

test("nothing is settled while it is held, when it is off, or before all members know settled frames", async () => {
  const machine = simMachine(3);
  let missing = ["old"];
  const options = { membersWithout: (level: number) => (level > 1 ? missing : []) };
  const log = await openSettling(machine, options);
  await fill(log, ["keep", "gone"], 20);
  await log.trim(20, { log: { name: "gone" } });
  const before = sealedBytes(log);
  await passTime(machine, log);
  assert.equal(log.storedLog.state.logs.level, 1);
  assert.equal(sealedBytes(log), before);
  missing = [];
  const goOn = log.storedLog.settler!.hold();
  await log.append(run("x"));
  await passTime(machine, log);
  assert.equal(log.storedLog.state.logs.level, 3);
  assert.equal(sealedBytes(log), before);
  goOn();
  await passTime(machine, log);
  assert.ok(sealedBytes(log) < before);
  assert.equal((await openSettling(machine, { settleBytesPerSecond: 0 })).storedLog.settler, undefined);
});

test("nothing is settled by a trim that is not synced", async () => {
  const machine = simMachine(4);
  const log = await openSettling(machine, { sync: "never" });
  await fill(log, ["keep", "gone"], 20);
  await passTime(machine, log, 2_000);
  await log.trim(20, { log: { name: "gone" } });
  assert.ok(log.storedLog.syncedIndex < log.storedLog.commitIndex);
  await passTime(machine, log);
  assert.equal(settledOf(log.storedLog), 0);
  await log.storedLog.syncWritten();
  await passTime(machine, log);
  assert.ok(settledOf(log.storedLog) > 0);
});

test("a scan of a segment reads the file that it began with", async () => {
  const machine = simMachine(5);
  const log = await openSettling(machine, {}, 40_000);
  await fill(log, ["keep", "gone"], 60);
  const [segment] = log.storedLog.sealed;
  const frames: number[] = [];
  const scan = scanSegment(segment!, (bytes, at) => {
    frames.push(frameIndex(bytes, at));
    return undefined;
  });
  assert.equal(scan.next().done, false);
  const { bytes } = segment!;
  await log.trim(60, { log: { name: "gone" } });
  await passTime(machine, log);
  assert.ok(segment!.bytes < bytes, "it is settled meanwhile");
  while (scan.next().done !== true);
  assert.equal(frames.length, segment!.seal.entries);
  assert.equal(log.storedLog.damage, undefined);
});

/** The first indexes of the segments with settled frames. */
const settledFirsts = (log: SegmentedLog): number[] =>
  log.sealed.filter(({ meta }) => meta.settled !== undefined).map(({ first }) => first);

test("a segment beyond the commit index that the catalog holds is not settled yet", async () => {
  const machine = simMachine(6);
  const log = await openSettling(machine, { settlePace: { mergedShare: 0 } });
  await fill(log, ["keep", "gone"], 60);
  const { committed, sealed } = log.storedLog;
  assert.ok(sealed.length > 4);
  let savedCommit = sealed[2]!.end.index - 1;
  Object.defineProperty(committed, "savedCommit", { get: () => savedCommit });
  await log.trim(60, { log: { name: "gone" } });
  await passTime(machine, log);
  assert.deepEqual(settledFirsts(log.storedLog), [sealed[0]!.first, sealed[1]!.first]);
  savedCommit += 1;
  await passTime(machine, log);
  assert.deepEqual(
    settledFirsts(log.storedLog),
    sealed.slice(0, 3).map(({ first }) => first),
  );
});

test("a copy is not put in the place of its segment once something holds it, and is made again afterwards", async () => {
  const machine = simMachine(7);
  const disk = new RefusingDisk(machine.disk);
  const log = await openSettling(machine, { disk });
  await fill(log, ["keep", "gone"], 20);
  let goOn: (() => void) | undefined;
  disk.refuse = (operation, path) => {
    if (operation === "sync" && path.endsWith(".store.settled")) goOn ??= log.storedLog.settler!.hold();
    return undefined;
  };
  await log.trim(20, { log: { name: "gone" } });
  await passTime(machine, log);
  assert.ok(goOn !== undefined, "a copy was under way");
  assert.deepEqual(settledFirsts(log.storedLog), []);
  const left = machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".settled"));
  assert.deepEqual(left, []);
  goOn();
  await passTime(machine, log);
  assert.ok(settledFirsts(log.storedLog).length > 0);
});

test("a copy that gains too little is not used, and is not made again until more cannot be read", async () => {
  const machine = simMachine(8);
  const disk = new RefusingDisk(machine.disk);
  const log = await openSettling(machine, { disk, settlePace: { gainMin: 0.01, gainMinFull: 0.9 } });
  await fill(log, ["keep", "gone"], 20);
  let copies = 0;
  disk.refuse = (operation, path) => {
    if (operation === "open" && path.endsWith(".store.settled")) copies++;
    return undefined;
  };
  await log.trim(10, { log: { name: "gone" } });
  await passTime(machine, log, 120_000);
  const first = copies;
  assert.ok(first > 0);
  assert.deepEqual(settledFirsts(log.storedLog), []);
  assert.ok(first <= log.storedLog.sealed.length, `${first} copies`);
  await log.trim(20, { log: { name: "gone" } });
  await passTime(machine, log, 120_000);
  assert.ok(copies > first, "more cannot be read");
});

test("while rows are not known, nothing is settled: what is not in them would count as deleted", async () => {
  for (const fact of ["isBehind", "isDamaged"] as const) {
    const machine = simMachine(11);
    const log = await openSettling(machine);
    await fill(log, ["keep", "gone"], 20);
    const { logs } = log.storedLog.state;
    const { settler } = log.storedLog;
    let isUnknown = true;
    Object.defineProperty(logs, fact, { get: () => isUnknown, configurable: true });
    await log.trim(20, { log: { name: "gone" } });
    await passTime(machine, log);
    assert.deepEqual(settledFirsts(log.storedLog), [], fact);
    assert.equal(settler!.totals.segments, 0);
    isUnknown = false;
    await passTime(machine, log);
    assert.ok(settledFirsts(log.storedLog).length > 0, fact);
  }
});

test("a segment of which a fifth cannot be read is not settled, and one of which two fifths cannot is", async () => {
  const machine = simMachine(9);
  const log = await openSettling(machine);
  const five = ["a", "b", "c", "d", "e"];
  await fill(log, five, 20);
  await log.trim(20, { log: { name: "a" } });
  await passTime(machine, log);
  assert.deepEqual(settledFirsts(log.storedLog), []);
  await log.trim(20, { log: { name: "b" } });
  await passTime(machine, log);
  assert.ok(settledFirsts(log.storedLog).length > 3);
});

test("what a pass says of the space is of after it", async () => {
  const machine = simMachine(10);
  const log = await openSettling(machine);
  await fill(log, ["keep", "gone"], 20);
  await log.trim(20, { log: { name: "gone" } });
  // One pass, and not the next one.
  await passTime(machine, log, 20_000);
  const { settler, sealed } = log.storedLog;
  assert.ok(settler!.totals.segments > 3);
  const left = sealed.reduce((sum, { meta }) => sum + (meta.settled?.bytes ?? 0), 0);
  assert.equal(settler!.space!.removedBytes, left);
  assert.equal(settler!.space!.reclaimableBytes, 0);
});
