/** What is counted of removed records is what the files hold. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogSpace, SpaceUse } from "../../../../src/lib/disk/space-use.ts";
import {
  frameBytes,
  frameLogId,
  frameNextOffset,
  frameTakesOffsets,
} from "../../../../src/log/frame/frame.ts";
import { planSettling } from "../../../../src/log/settle/settle-plan.ts";
import { type SegmentSpace, SpaceCensus } from "../../../../src/log/settle/space-census.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";
import { run, type SimMachine, simMachine } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";
import { fill, openSettling, passTime } from "../../../support/log/settling-log.ts";

const names = ["keep", "gone", "deleted", undefined, "half"];
const rounds = 30;
const onlyCount = { settleBytesPerSecond: 0, countSpace: true };

/** Reads every sealed file, frame by frame. */
function onDisk(
  { disk }: SimMachine,
  { storedLog }: OneNodeLog,
): Omit<SpaceUse, "ageMs" | "reclaimableBytes"> {
  const { logs } = storedLog.state;
  const of = new Map<string, number>();
  const keeping = new Map<string, number>();
  let [bytes, removedBytes, deletedBytes] = [0, 0, 0];
  for (const { path } of storedLog.sealed) {
    const file = disk.open(path, "read");
    const store = new Uint8Array(file.size());
    file.read(store, 0);
    file.close();
    bytes += store.length;
    const before = removedBytes;
    for (let at = 0; at < store.length; at += frameBytes(store, at)) {
      if (!frameTakesOffsets(store, at)) continue;
      const id = frameLogId(store, at);
      const row = id === 0 ? { name: "default", lowest: storedLog.bounds.lowest } : logs.row(id);
      if (row !== undefined && frameNextOffset(store, at) > row.lowest) {
        if (!keeping.has(row.name)) keeping.set(row.name, before);
        continue;
      }
      const length = frameBytes(store, at);
      removedBytes += length;
      if (row === undefined) deletedBytes += length;
      else of.set(row.name, (of.get(row.name) ?? 0) + length);
    }
  }
  const kept = [...keeping].map(([name, before]) => [name, removedBytes - before] as const);
  return { bytes, removedBytes, deletedBytes, removed: sorted([...of]), keeping: sorted(kept) };
}

const sorted = (logs: readonly (readonly [string, number])[]): LogSpace[] =>
  logs
    .map(([name, bytes]) => ({ name, bytes }))
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));

function checkCount(machine: SimMachine, log: OneNodeLog): SpaceUse {
  const { ageMs, reclaimableBytes, ...space } = log.storedLog.settler!.space!;
  const byName = (logs: readonly LogSpace[]) => sorted(logs.map(({ name, bytes }) => [name, bytes]));
  assert.deepEqual(
    { ...space, removed: byName(space.removed), keeping: byName(space.keeping) },
    onDisk(machine, log),
  );
  assert.ok(ageMs < 80_000 && reclaimableBytes <= space.removedBytes);
  return { ageMs, reclaimableBytes, ...space };
}

async function remove(log: OneNodeLog): Promise<void> {
  await log.trim(rounds - 1, { log: { name: "gone" } });
  await log.trim(rounds / 2, { log: { name: "half" } });
  await log.trim(10);
  await log.change({ kind: "delete", log: { name: "deleted" } });
}

test("the bytes of removed records, of all logs and of each, are those in the files, also if settling is off", async () => {
  const machine = simMachine(1);
  const log = await openSettling(machine, onlyCount);
  await fill(log, names, rounds);
  await passTime(machine, log, 6_000);
  const before = checkCount(machine, log);
  assert.deepEqual([before.removedBytes, before.removed, before.keeping], [0, [], []]);
  await remove(log);
  await passTime(machine, log, 70_000);
  const { removed, keeping, reclaimableBytes, removedBytes, deletedBytes } = checkCount(machine, log);
  assert.deepEqual(
    removed.map(({ name }) => name),
    ["gone", "half", "default"],
  );
  assert.deepEqual(keeping[0], { name: "keep", bytes: removedBytes });
  assert.ok(deletedBytes > 0 && reclaimableBytes > removedBytes / 2);
  assert.equal(log.storedLog.settler!.totals.segments, 0);
  assert.equal(log.storedLog.state.logs.level, 1, "only settling needs the level");
  await log.close();
  const again = await openSettling(machine, onlyCount);
  assert.equal(again.storedLog.settler!.space, undefined);
  await passTime(machine, again, 6_000);
  checkCount(machine, again);
});

test("what settling gives back is what the count said, and what is left is counted too", async () => {
  const machine = simMachine(2);
  const log = await openSettling(machine, onlyCount);
  await fill(log, names, rounds);
  await remove(log);
  await passTime(machine, log, 6_000);
  const before = checkCount(machine, log);
  await log.close();
  const settling = await openSettling(machine, { settlePace: { gainMin: 0, gainMinFull: 0 } });
  await passTime(machine, settling, 80_000);
  const after = checkCount(machine, settling);
  assert.equal(after.reclaimableBytes, 0);
  assert.equal(before.removedBytes - after.removedBytes, before.reclaimableBytes);
  assert.equal(settling.storedLog.settler!.totals.freedBytes, before.reclaimableBytes);
});

test("an idle log is not counted again, and one that changed is", async () => {
  const machine = simMachine(3);
  const log = await openSettling(machine, onlyCount);
  await fill(log, ["keep", "gone"], rounds);
  await passTime(machine, log, 6_000);
  const age = (): number => log.storedLog.settler!.space!.ageMs;
  assert.ok(age() < 6_000);
  await passTime(machine, log, 200_000);
  assert.ok(age() > 200_000);
  await log.append(run("x"));
  await passTime(machine, log, 70_000);
  assert.ok(age() < 70_000);
});

test("a look at a segment without its log index is made in small steps", async () => {
  const machine = simMachine(4);
  const log = await openSettling(machine, { settleBytesPerSecond: 0 }, 100_000);
  await fill(log, ["keep", "gone"], 120);
  const { sealed, bounds, state } = log.storedLog;
  const segment = sealed[0]!;
  machine.disk.remove(segment.path.replace(/\.store$/, ".logs"));
  let steps = 0;
  for (const _ of planSettling(segment, { lowest: bounds.lowest, table: state.logs })) steps++;
  assert.ok(steps > segment.bytes / 4096, `${steps} steps for ${segment.bytes} bytes`);
});

test("many logs are counted in little memory and in small steps", () => {
  const census = new SpaceCensus((id) => ({ name: `log ${id}` }) as LogRow);
  const removed = new Map(Array.from({ length: 200_000 }, (_, id) => [id, 1 + (id % 100_000)] as const));
  const steps = [...census.add(1, { removed, deletedBytes: 0, live: removed, gainBytes: 0 })].length;
  assert.ok(steps > 100);
  const { removed: top, removedBytes } = census.report();
  assert.equal(removedBytes, 100_000 * 100_001);
  assert.deepEqual([top.length, top[0]?.bytes], [10, 100_000]);
});

test("ten logs are named of each kind, those with the most", () => {
  const census = new SpaceCensus((id) => ({ name: `log ${id}` }) as LogRow);
  const numbers = (from: number, to: number, bytesOf: (id: number) => number) =>
    new Map(Array.from({ length: to - from + 1 }, (_, n) => [from + n, bytesOf(from + n)] as const));
  assert.equal(census.wantsLive, true);
  const add = (size: number, space: SegmentSpace): void => void [...census.add(size, space)];
  const of = (from: number, deletedBytes: number) => ({
    removed: numbers(from, 39, (id) => id),
    deletedBytes,
  });
  add(1000, { ...of(31, 40), live: numbers(1, 2, () => 1), gainBytes: 5 });
  add(1000, { ...of(21, 0), live: numbers(1, 20, (id) => id), gainBytes: 6 });
  assert.equal(census.wantsLive, false);
  add(500, { ...of(40, 0), live: new Map(), gainBytes: 0 });
  const { bytes, removedBytes, deletedBytes, reclaimableBytes, removed, keeping } = census.report();
  assert.deepEqual([bytes, deletedBytes, reclaimableBytes], [2500, 40, 11]);
  assert.equal(removedBytes, 355 + 570);
  assert.deepEqual(
    removed,
    Array.from({ length: 9 }, (_, n) => ({ name: `log ${39 - n}`, bytes: 2 * (39 - n) })).concat({
      name: "log 30",
      bytes: 30,
    }),
  );
  const kept = [1, 2, 20, 19, 18, 17, 16, 15, 14, 13];
  assert.deepEqual(
    keeping,
    kept.map((id, n) => ({ name: `log ${id}`, bytes: n < 2 ? 925 : 570 })),
  );
});
