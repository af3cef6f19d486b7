/** What other nodes, tools and readers make of settled frames. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  batchKind,
  compareLogs,
  frameKind,
  frameLogId,
  LogsTail,
  repairLog,
  type SegmentedLog,
  settledFrame,
  verifyLog,
} from "../../../../src/log/mod.ts";
import type { SealedSegment } from "../../../../src/log/segment/sealed-segment.ts";
import { planSettling, type SettlePlan } from "../../../../src/log/settle/settle-plan.ts";
import { emptyConfState } from "../../../../src/raft/mod.ts";
import { backupParts, readSnapshot, restoreFrames, verifyBackup } from "../../../../src/replication/mod.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { run, type SimMachine, simMachine, valuesOf } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";
import { fill, longValue, openSettling, passTime } from "../../../support/log/settling-log.ts";

const rounds = 20;
const names = ["keep", "gone", undefined] as const;

interface Settled {
  readonly machine: SimMachine;
  readonly log: OneNodeLog;
  /** The last index before anything was trimmed. */
  readonly untrimmed: number;
}

/**
 * "gone" and `default` are trimmed to their last two records, and settled. `first`: a log with one record before all others, which is
 * trimmed if it is "produced".
 */
async function settled(seed: number, first?: "produced" | "kept"): Promise<Settled> {
  const machine = simMachine(seed);
  const log = await openSettling(machine);
  if (first !== undefined) {
    const producer = { subject: "s", id: 5n, epoch: 0, sequence: 0 };
    await log.change({ kind: "create", name: first, settings: {} });
    await log.append(run(longValue(first, 0)), { log: { name: first }, producer });
  }
  await fill(log, names, rounds);
  const untrimmed = log.storedLog.commitIndex;
  await log.trim(rounds - 2, { log: { name: "gone" } });
  await log.trim(rounds - 2);
  if (first === "produced") await log.trim(1, { log: { name: "produced" } });
  await passTime(machine, log);
  assert.ok(log.storedLog.settler!.totals.frames > rounds);
  return { machine, log, untrimmed };
}

/** A follower that got all frames of the log. */
async function followerOf({ storedLog }: OneNodeLog, machine: SimMachine): Promise<SegmentedLog> {
  const follower = machine.openStored({ frameCacheBytesMax: 2_000 });
  const { end, checkpoint } = startOf(storedLog);
  const rows = storedLog.rows.openBase();
  const start = { end, checkpoint, ...(rows === undefined ? {} : { rows }) };
  await follower.rows.prepare(start);
  follower.reset(start);
  for (let at = storedLog.firstIndex; at <= storedLog.end.index; ) {
    const frames = storedLog.entries(at, 3_000);
    follower.stage(Uint8Array.from(Buffer.concat(frames)));
    follower.flushNow();
    at += frames.length;
  }
  return follower;
}

const kindOf = (read: () => unknown): string => {
  try {
    read();
    return "read";
  } catch (reason) {
    return Fault.from(reason).kind;
  }
};

test("a follower takes settled frames, also before the level that says so, and has the same rows and producers", async () => {
  const { log, untrimmed } = await settled(1, "produced");
  const machine = simMachine("follower");
  const follower = await followerOf(log, machine);
  assert.equal((machine.store.get("log/directory") as { format: number }).format, 5);
  follower.commitTo(untrimmed);
  const { logs } = follower.state;
  const [keep, gone] = ["keep", "gone"].map((name) => follower.view(logs.named(name)!.id));
  // It has not applied the trims: its rows show what the leader does not have any more.
  assert.equal(gone!.bounds.lowest, 0);
  for (const read of [
    () => gone!.read(0),
    () => gone!.take(0, 10_000),
    () => follower.reader.read(0),
    () => follower.reader.take(0, 10_000),
  ])
    assert.equal(kindOf(read), "unavailable");
  assert.deepEqual(valuesOf(keep!.read(0)), [longValue("keep", 0)]);
  assert.deepEqual(valuesOf(gone!.read(rounds - 1), rounds - 1), [longValue("gone", rounds - 1)]);
  assert.equal(follower.damage, undefined);
  // It settles nothing by trims that it has not applied.
  for (const segment of follower.sealed) assert.equal(planOf(segment, follower).below.size, 0);
  const before = [...backupsOf(follower)];
  assert.deepEqual(before, ["failed-precondition"], "a backup would lack what its end can read");
  follower.commitTo(follower.end.index);
  assert.equal(
    kindOf(() => gone!.read(0)),
    "out-of-range",
  );
  assert.equal(
    kindOf(() => follower.reader.take(0, 1_000)),
    "out-of-range",
  );
  assert.deepEqual([...logs.rows()], [...log.storedLog.state.logs.rows()]);
  assert.deepEqual(follower.end, log.storedLog.end);
  const [own, leaders] = [follower, log.storedLog].map(({ state, commitIndex }) =>
    state.checkpointAt(commitIndex),
  );
  assert.equal(leaders!.producers.length, 1);
  assert.deepEqual(own!.producers, leaders!.producers);
  follower.close();
  using report = verifyLog(directoryOf(machine));
  assert.deepEqual(report.findings, []);
});

test("settled frames that were received are counted, also after a cut and a start, and name a file of a backup", async () => {
  const { log } = await settled(12);
  const machine = simMachine("counted");
  const follower = await followerOf(log, machine);
  assert.ok(checkCounts(follower) > rounds);
  follower.commitTo(follower.end.index);
  const { first } = follower.sealed.findLast(({ meta }) => meta.settled !== undefined)!;
  assert.match(backupNameOf(follower, first), /^\d+-\d+-\d+\./);
  follower.close();
  checkCounts(machine.openStored());
  const other = simMachine("cut");
  const cut = await followerOf(log, other);
  const { end } = cut.sealed.findLast(({ meta }) => meta.settled !== undefined)!;
  cut.truncateSuffix(end.index + 1);
  assert.notEqual(cut.segments.at(-1)!.settled, undefined, "it is opened again");
  checkCounts(cut);
  cut.commitTo(cut.end.index);
  assert.match(backupNameOf(cut, cut.segments.at(-1)!.first), /^\d+-\d+-\d+\./);
  cut.close();
  const again = other.openStored();
  assert.notEqual(again.segments.at(-1)!.settled, undefined, "it is recovered");
  checkCounts(again);
  again.close();
  for (const key of other.store.keys("log/")) other.store.write({ [key]: undefined });
  repairLog(directoryOf(other), true);
  checkCounts(other.openStored());
});

/** What each segment says of its settled frames is what is in it. Returns how many there are. */
function checkCounts(log: SegmentedLog): number {
  let total = 0;
  for (const [k, segment] of log.segments.entries()) {
    const last = (log.segments[k + 1]?.first ?? log.end.index + 1) - 1;
    const found = { frames: 0, bytes: 0 };
    for (let at = segment.first; at <= last; at++) {
      const [frame] = log.entries(at, 1, at);
      if (frameKind(frame!, 0) !== batchKind.settled) continue;
      found.frames++;
      found.bytes += frame!.length;
    }
    const counted = (log.sealed[k]?.meta ?? segment).settled ?? { frames: 0, bytes: 0 };
    assert.deepEqual(counted, found, `segment ${segment.first}`);
    total += found.frames;
  }
  return total;
}

/** The name that a backup gives to the frames of a segment. */
function backupNameOf(log: SegmentedLog, segment: number): string {
  const snapshot = backupParts(log, backupState, []).find((part) => part !== undefined)!;
  return readSnapshot(snapshot.data).files.find(({ first }) => first === segment)!.file;
}

const backupState = { clusterId: "c", configurationAt: () => emptyConfState } as never;

function planOf(segment: SealedSegment, { bounds, state }: SegmentedLog): SettlePlan {
  const steps = planSettling(segment, { lowest: bounds.lowest, table: state.logs });
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function backupsOf(log: SegmentedLog): string[] {
  return [kindOf(() => [...backupParts(log, backupState, [])])];
}

test("a tail of several logs passes over settled frames", async () => {
  const { log } = await settled(2);
  const { committed, state } = log.storedLog;
  const named = ["keep", "gone", "default"].map((name) => ({ name, id: state.logs.named(name)?.id ?? 0 }));
  const logs = { named, deleted: [] };
  using tail = new LogsTail({ log: committed, logs, from: { index: 1, sent: 0 }, cutOff: () => undefined });
  const shown: string[] = [];
  for (let found = tail.take(2_000); found !== undefined; found = tail.take(2_000))
    if (found !== "later" && "slice" in found) shown.push(...valuesOf(found.slice, found.from));
  const expected: string[] = [];
  for (let n = 0; n < rounds; n++)
    for (const name of n < rounds - 2 ? ["keep"] : ["keep", "gone", "default"])
      expected.push(longValue(name, n));
  assert.deepEqual(shown, expected);
  assert.equal(log.storedLog.damage, undefined);
});

test("a backup holds settled segments as they are in the files, also if their frames are still whole in memory", async () => {
  const machine = simMachine(31);
  const log = await openSettling(machine, { frameCacheBytesMax: 10_000_000 });
  await fill(log, names, rounds);
  await log.trim(rounds - 2, { log: { name: "gone" } });
  await log.trim(rounds - 2);
  await passTime(machine, log);
  const { storedLog, replica } = log;
  assert.ok(storedLog.settler!.totals.segments > 0);
  const sizes = new Map<string, number>();
  for (const part of backupParts(storedLog, replica.state, [])) {
    if (part === undefined) continue;
    assert.ok(part.position + part.data.length <= part.fileBytes, part.file);
    sizes.set(part.file, part.position + part.data.length - part.fileBytes);
  }
  assert.ok(sizes.size > 3 && [...sizes.values()].every((rest) => rest === 0));
});

test("a backup holds settled segments under other names, and is restored with the same records and rows", async () => {
  const { log, machine } = await settled(3, "kept");
  const { storedLog, replica } = log;
  const files = new Map<string, Uint8Array>();
  const sealed = storedLog.sealed.map(({ bytes }) => bytes);
  for (const part of backupParts(storedLog, replica.state, [])) {
    if (part === undefined) continue;
    files.set(part.file, Buffer.concat([files.get(part.file) ?? Buffer.alloc(0), part.data]));
    // Nothing is settled meanwhile.
    if (files.size === 2) await log.trim(rounds - 2, { log: { name: "keep" } });
    if (files.size === 3) await passTime(machine, log);
  }
  assert.deepEqual(
    storedLog.sealed.slice(0, sealed.length).map(({ bytes }) => bytes),
    sealed,
  );
  assert.ok([...files.keys()].some((name) => /^\d{20}-\d{20}-\d+\.[\da-f]{8}\.frames$/.test(name)));
  const snapshot = readSnapshot(files.get("snapshot")!);
  const read = (file: string, position: number, bytes: number) =>
    files.get(file)!.subarray(position, position + bytes);
  const source = { size: (file: string) => files.get(file)?.length, read };
  const report = await verifyBackup(snapshot, source);
  assert.deepEqual([report.findings, report.lowest, report.next], [[], rounds - 2, rounds]);
  const restoredTo = simMachine("restored");
  const restored = restoredTo.openStored();
  await restoreFrames(restored, snapshot, source);
  for (const { id, name, lowest } of restored.state.logs.rows())
    assert.deepEqual(valuesOf(restored.view(id).read(lowest), lowest)[0], longValue(name, lowest));
  restored.close();
  await log.close();
  const { different, findings } = compareLogs([directoryOf(restoredTo), directoryOf(machine)]);
  assert.deepEqual([different, findings], [[], []]);
});

test("verify finds a settled frame that its log can still read, if the log has what settled it", async () => {
  const source = simMachine(4);
  const log = await openSettling(source, { settleBytesPerSecond: 0 });
  await fill(log, names, 4);
  const { storedLog } = log;
  const frames: Uint8Array[] = [];
  for (let at = 1; at <= storedLog.end.index; at++) frames.push(...storedLog.entries(at, 1, at));
  const { end } = storedLog;
  const isData = (frame: Uint8Array): boolean => frameKind(frame, 0) === batchKind.data;
  for (const [settledAt, kinds] of [
    [end.index, ["settled"]],
    [end.index + 1, []],
  ] as const) {
    for (const id of [0, storedLog.state.logs.named("keep")!.id]) {
      const at = frames.findIndex((frame) => isData(frame) && frameLogId(frame, 0) === id);
      const machine = simMachine(`settled ${id}`);
      const copy = machine.openStored();
      copy.stage(
        Buffer.concat(frames.map((frame, k) => (k === at ? settledFrame(frame, 0, settledAt)! : frame))),
      );
      copy.flushNow();
      copy.commitTo(end.index);
      copy.close();
      using report = verifyLog(directoryOf(machine));
      assert.deepEqual(
        report.findings.map(({ kind }) => kind),
        kinds,
      );
    }
  }
});

test("a repair keeps settled segments; what a lost trim removed stays removed", async () => {
  const { log, machine, untrimmed } = await settled(5);
  await log.close();
  const { disk } = machine;
  const stores = disk.list("/data/log").filter((name) => name.endsWith(".store"));
  const last = `/data/log/${stores.at(-1)}`;
  assert.ok(Number(stores.at(-1)!.slice(0, 20)) <= untrimmed + 1);
  disk.flipBit(last, 8 * 70);
  const plan = repairLog(directoryOf(machine), true);
  assert.ok(plan.actions.some(({ action }) => action === "cut"));
  using report = verifyLog(directoryOf(machine));
  assert.deepEqual(report.findings, []);
  const again = await openSettling(machine, { settleBytesPerSecond: 0 });
  const { logs } = again.storedLog.state;
  assert.equal(logs.named("gone")!.lowest, 0);
  const gone = again.storedLog.view(logs.named("gone")!.id);
  assert.equal(
    kindOf(() => gone.read(0)),
    "unavailable",
  );
  assert.equal(again.storedLog.damage, undefined);
  for (let n = 0; n < 60; n++) await again.append(run("beyond what was cut"));
  await again.close();
  {
    using later = verifyLog(directoryOf(machine));
    assert.deepEqual(later.findings, [], "the cut is known");
  }
  const reopened = await openSettling(machine, { settleBytesPerSecond: 0 });
  await reopened.trim(logs.named("gone")!.next, { log: { name: "gone" } });
  const { storedLog } = reopened;
  const row = storedLog.state.logs.named("gone")!;
  assert.equal(row.lowest, row.next);
  const keep = storedLog.view(storedLog.state.logs.named("keep")!.id);
  assert.deepEqual(valuesOf(keep.read(0)), [longValue("keep", 0)]);
});
