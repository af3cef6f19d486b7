/** Settled segments that follow each other are merged, and everything reads as before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LogsTail, repairLog, verifyLog } from "../../../../src/log/mod.ts";
import { scanSegment } from "../../../../src/log/rows/base-fold.ts";
import { backupParts } from "../../../../src/replication/mod.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { run, type SimMachine, simDirectory, simMachine, valuesOf } from "../../../support/log/logs.ts";
import { names, orphans, pace, settled, unmerged } from "../../../support/log/merging-log.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";
import { openSettling, passTime } from "../../../support/log/settling-log.ts";

/** Everything that can be read of the log, in each way. */
async function readAll(log: OneNodeLog): Promise<Record<string, unknown>> {
  const { committed, state } = log.storedLog;
  const found: Record<string, unknown> = {};
  for (const name of [...names, undefined]) {
    const opened = name === undefined ? log : log.replica.log.named.open({ name });
    const { lowest, next } = await opened.bounds();
    const byOffset: string[] = [];
    for (let at = lowest; at < next; at++) byOffset.push(valuesOf(await opened.read(at), at)[0]!);
    const seeks: number[] = [];
    for (let timeMs = 1_000_000; timeMs < 1_000_400; timeMs += 11)
      seeks.push(await opened.seek({ fromTimeMs: timeMs }));
    const lasts: number[] = [];
    for (const last of [1, 2, 7, 1000]) lasts.push(await opened.seek({ last }));
    using tail = opened.follow(lowest);
    const tailed: string[] = [];
    for (let position = lowest; position < next; position = tail.position)
      tailed.push(...valuesOf(tail.take(900)!, position));
    found[name ?? "default"] = { lowest, next, byOffset, seeks, lasts, tailed };
  }
  const named = names.map((name) => ({ name, id: state.logs.named(name)!.id }));
  const several = { named: [...named, { name: "default", id: 0 }], deleted: [] };
  const cutOff = () => undefined;
  using both = new LogsTail({ log: committed, logs: several, from: { index: 1, sent: 0 }, cutOff });
  found["several"] = taken(both);
  const prefix = { prefix: "", may: () => true, asksMax: 100 };
  using all = new LogsTail({ log: committed, logs: prefix, from: { index: 1, sent: 0 }, cutOff });
  found["prefix"] = taken(all);
  assert.equal(log.storedLog.damage, undefined);
  return found;
}

function taken(tail: LogsTail): unknown[] {
  const shown: unknown[] = [];
  for (let found = tail.take(700); found !== undefined; found = tail.take(700))
    if (found !== "later" && "slice" in found)
      shown.push([found.index, found.log.name, ...valuesOf(found.slice, found.from)]);
  return shown;
}

function verify({ disk, store, rowStore }: SimMachine): unknown {
  using report = verifyLog({ directory: simDirectory, disk, store, rowStore });
  const last = disk.list("/data/log").findLast((name) => name.endsWith(".index"));
  return report.findings.filter(({ file }) => file !== last);
}

test("merged segments are fewer, and read as before by offset, time and last records, and by tails", async () => {
  const machine = await settled(1);
  const log = await openSettling(machine, { settlePace: unmerged });
  const before = await readAll(log);
  const { sealed } = log.storedLog;
  await log.close();
  const merging = await openSettling(machine, { settlePace: pace });
  const ids = merging.storedLog.state.logs;
  const view = merging.storedLog.view(ids.named("keep")!.id);
  // A reader that is in the middle, and what it has learned, do not keep the segments.
  using tail = merging.replica.log.named.open({ name: "keep" }).follow(0);
  const shown = valuesOf(tail.take(100)!, 0);
  await readAll(merging);
  await passTime(machine, merging, 3_000);
  const { storedLog } = merging;
  assert.ok(storedLog.settler!.merged.to >= 2, JSON.stringify(storedLog.settler!.merged));
  assert.ok(storedLog.sealed.length <= sealed.length / 2, `${storedLog.sealed.length} of ${sealed.length}`);
  assert.equal(
    storedLog.sealed.reduce((sum, { bytes }) => sum + bytes, 0),
    sealed.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  for (const segment of storedLog.sealed) assert.ok(segment.bytes <= 6_000);
  for (let position = tail.position; position < view.bounds.next; position = tail.position)
    shown.push(...valuesOf(tail.take(300)!, position));
  assert.deepEqual(await readAll(merging), before);
  assert.deepEqual(shown, (before["keep"] as { byOffset: string[] }).byOffset);
  assert.deepEqual(orphans(machine, merging), []);
  const { from } = storedLog.settler!.merged;
  await passTime(machine, merging, 6_000);
  assert.equal(storedLog.settler!.merged.from, from, "nothing is merged again without need");
  await merging.close();
  assert.deepEqual(verify(machine), []);
  const again = await openSettling(machine, { settleBytesPerSecond: 0 });
  assert.deepEqual(await readAll(again), before);
  assert.deepEqual(orphans(machine, again), []);
});

test("a power cut at each operation of the disk while segments are merged loses nothing", async () => {
  const machine = await settled(2, 24);
  const [diskImage, storeImage] = [machine.disk.image(), machine.store.image()];
  const first = await openSettling(machine, { settleBytesPerSecond: 0 });
  const before = await readAll(first);
  const count = first.storedLog.sealed.length;
  await first.close();
  let [finished, undone] = [0, 0];
  for (let operation = 0; ; operation++) {
    const cut = simMachine(200 + operation);
    cut.disk.restoreImage(diskImage);
    cut.store.restoreImage(storeImage);
    const log = await openSettling(cut, { settlePace: pace });
    cut.disk.crashAfter(operation);
    await passTime(cut, log, 1_000);
    const what = `cut in operation ${operation}`;
    const isOver = cut.disk.counts.crash === 0;
    if (isOver) cut.disk.kill();
    if (isOver) assert.ok(log.storedLog.settler!.merged.to >= 1, "segments were merged");
    const waited = cut.store.get("log/settling") !== undefined;
    assert.deepEqual(verify(cut), [], what);
    const again = await openSettling(cut, { settleBytesPerSecond: 0 });
    if (waited && again.storedLog.sealed.length < count) finished++;
    if (!waited && again.storedLog.sealed.length === count) undone++;
    assert.equal(cut.store.get("log/settling"), undefined, what);
    assert.equal(cut.store.get("log/doomed"), undefined, what);
    assert.deepEqual(orphans(cut, again), [], what);
    assert.deepEqual(await readAll(again), before, what);
    await again.close();
    assert.deepEqual(verify(cut), [], what);
    if (isOver) break;
  }
  assert.ok(finished >= 4 && undone >= 4, `${finished} merges were finished, ${undone} undone`);
});

test("a merge that the disk refuses changes nothing, and is made later", async () => {
  for (const [operation, suffix, code] of [
    ["open", ".settled", "EMFILE"],
    ["write", ".store.settled", "ENOSPC"],
    ["write", ".index.settled", "EIO"],
    ["write", ".logs.settled", "ENOSPC"],
  ] as const) {
    const machine = await settled(3, 24);
    const disk = new RefusingDisk(machine.disk);
    disk.refuse = (one, path) => (one === operation && path.endsWith(suffix) ? code : undefined);
    const log = await openSettling(machine, { settlePace: { ...pace, retryMs: 5_000 }, disk });
    const before = log.storedLog.sealed.length;
    await passTime(machine, log, 3_000);
    const what = `${operation} ${suffix} ${code}`;
    assert.ok(disk.refused.length > 0, what);
    assert.equal(log.failure, undefined, what);
    assert.equal(log.storedLog.sealed.length, before, what);
    assert.deepEqual(orphans(machine, log), [], what);
    disk.refuse = () => undefined;
    await passTime(machine, log, 6_000);
    assert.ok(log.storedLog.sealed.length < before, what);
    assert.deepEqual(orphans(machine, log), [], what);
  }
});

test("files of neighbours that cannot be removed are removed later, or by the next start", async () => {
  const machine = await settled(4, 24);
  const disk = new RefusingDisk(machine.disk);
  disk.refuse = (one) => (one === "remove" ? "EBUSY" : undefined);
  const log = await openSettling(machine, { settlePace: pace, disk });
  const before = log.storedLog.sealed.length;
  await passTime(machine, log, 2_000);
  assert.ok(log.storedLog.sealed.length < before);
  assert.ok(orphans(machine, log).length > 0);
  assert.equal(log.failure, undefined);
  disk.refuse = () => undefined;
  await log.close();
  assert.deepEqual(verify(machine), []);
  const again = await openSettling(machine, { settleBytesPerSecond: 0 });
  assert.deepEqual(orphans(machine, again), []);
});

test("a merge that stops half-way fails the log; the next start finishes it", async () => {
  for (const [operation, suffix] of [
    ["sync", ".store.settled"],
    ["rename", ".store"],
    ["rename", ".index"],
    ["rename", ".logs"],
  ] as const) {
    const machine = await settled(5, 24);
    const disk = new RefusingDisk(machine.disk);
    disk.refuse = (one, path) => (one === operation && path.endsWith(suffix) ? "EIO" : undefined);
    const log = await openSettling(machine, { settlePace: pace, disk });
    await passTime(machine, log, 2_000);
    assert.equal(log.failure?.kind, "disk-failed", `${operation} ${suffix}`);
    log.kill();
    machine.disk.kill();
    assert.deepEqual(verify(machine), [], operation);
    const again = await openSettling(machine, { settleBytesPerSecond: 0 });
    assert.deepEqual(orphans(machine, again), [], operation);
    assert.equal(again.storedLog.damage, undefined);
    await again.close();
    assert.deepEqual(verify(machine), [], operation);
  }
});

test("a scan that began before a merge ends with the file that it began with", async () => {
  const machine = await settled(6, 24);
  const log = await openSettling(machine, { settlePace: pace });
  const segments = [...log.storedLog.sealed];
  const counts = segments.map(({ seal }) => seal.entries);
  const frames = segments.map(() => 0);
  const scans = segments.map((segment, k) =>
    scanSegment(segment, () => {
      frames[k]!++;
      return undefined;
    }),
  );
  // The files of all but the last scan are open.
  for (const scan of scans.slice(0, -1)) scan.next();
  await passTime(machine, log, 2_000);
  assert.ok(log.storedLog.settler!.merged.to > 0);
  for (const scan of scans.slice(0, -1)) while (scan.next().done !== true);
  assert.deepEqual(frames.slice(0, -1), counts.slice(0, -1));
  const [gone] = segments.filter((segment) => !log.storedLog.sealed.includes(segment)).slice(1);
  assert.throws(() => gone!.openStore(), { kind: "unavailable" });
  assert.equal(log.storedLog.damage, undefined, "a file that is gone is not damage");
});

test("a log index that is built while the segments before it are merged is right", async () => {
  const machine = await settled(7, 24);
  const whole = await openSettling(machine, { settleBytesPerSecond: 0 });
  const before = await readAll(whole);
  const { sealed } = whole.storedLog;
  await whole.close();
  for (const { first, meta } of sealed)
    if (meta.namedBatches !== undefined)
      machine.disk.remove(`/data/log/${String(first).padStart(20, "0")}.logs`);
  const log = await openSettling(machine, { settlePace: pace });
  // The last one is built after those before it, of which some are merged meanwhile.
  const last = log.storedLog.sealed.at(-1)!;
  assert.equal(last.prepareLogs(1), false);
  await passTime(machine, log, 2_000);
  assert.ok(log.storedLog.settler!.merged.to > 0);
  assert.ok(log.storedLog.sealed.includes(last));
  while (!last.prepareLogs(1));
  assert.deepEqual(await readAll(log), before);
  await log.close();
  assert.deepEqual(verify(machine), []);
});

test("the next start uses the rows on disk, because a segment begins where they end", async () => {
  const machine = await settled(8, 24, { rowCheckpoints: { fewRows: -1, rowsMax: 1e6, bytesMax: 12_000 } });
  const log = await openSettling(machine, { settlePace: { ...pace, mergedShare: 10 } });
  const rows = (): unknown => machine.store.get("log/rows");
  const before = rows();
  const { index } = log.storedLog.state.logs.stored.database!.head;
  const inside = log.storedLog.sealed.filter(({ meta }) => meta.settled !== undefined).slice(1);
  assert.ok(
    inside.some(({ first }) => first === index + 1),
    "the rows end between segments that are settled",
  );
  await passTime(machine, log, 2_000);
  assert.ok(log.storedLog.settler!.merged.to > 0);
  assert.ok(log.storedLog.segments.some(({ first }) => first === index + 1));
  log.kill();
  const again = await openSettling(machine, { settleBytesPerSecond: 0 });
  assert.deepEqual(rows(), before, "the database is not built again");
  assert.equal(again.storedLog.damage, undefined);
});

test("a catalog that is lost before the files of neighbours are removed is built without them", async () => {
  const machine = await settled(9, 24);
  const disk = new RefusingDisk(machine.disk);
  const log = await openSettling(machine, { settlePace: pace, disk });
  const before = await readAll(log);
  disk.refuse = (one) => (one === "remove" ? "EBUSY" : undefined);
  await passTime(machine, log, 2_000);
  assert.ok(orphans(machine, log).length > 0);
  await log.close();
  machine.store.write(Object.fromEntries(machine.store.keys("log/").map((key) => [key, undefined])));
  const { actions } = repairLog(directoryOf(machine), true);
  assert.ok(actions.some(({ action }) => action === "build-catalog"));
  assert.ok(actions.every(({ action }) => action !== "cut"));
  const again = await openSettling(machine, { settleBytesPerSecond: 0 });
  assert.deepEqual(await readAll(again), before);
});

test("a backup names a merged segment by another name, and transfers it once", async () => {
  const machine = await settled(10, 24);
  const log = await openSettling(machine, { settlePace: pace });
  const files = (have: readonly string[]): string[] => {
    const parts = [...backupParts(log.storedLog, log.replica.state, have)];
    return [...new Set(parts.flatMap((part) => (part === undefined ? [] : [part.file])))];
  };
  const before = files([]);
  await passTime(machine, log, 2_000);
  const { merged } = log.storedLog.settler!;
  const after = files(before).filter((name) => name.endsWith(".frames"));
  // The last segment of each backup ends at another index.
  assert.ok(after.length >= merged.to && after.length <= merged.to + 1, after.join());
  const [first] = after;
  assert.match(first!, /^\d{20}-\d{20}-\d+\.[\da-f]{8}\.frames$/);
  assert.deepEqual(
    files([...before, ...after]).filter((name) => name.endsWith(".frames")),
    [],
  );
});

test("a follower gets the same frames while segments are merged", async () => {
  const machine = await settled(11, 24);
  const log = await openSettling(machine, { settlePace: pace });
  const { storedLog } = log;
  const got: Uint8Array[] = [];
  for (let at = storedLog.firstIndex; at <= storedLog.end.index; ) {
    const frames = storedLog.entries(at, 1_500);
    got.push(...frames.map((frame) => Uint8Array.from(frame)));
    at += frames.length;
    await passTime(machine, log, 50);
  }
  assert.ok(storedLog.settler!.merged.to > 0);
  const whole: Uint8Array[] = [];
  for (let at = storedLog.firstIndex; at <= storedLog.end.index; at++)
    whole.push(...storedLog.entries(at, 1, at));
  assert.deepEqual(Buffer.concat(got), Buffer.concat(whole));
});

test("a segment that was removed is no damage for a reader that still holds it", async () => {
  const machine = await settled(14, 24);
  const log = await openSettling(machine, { settleBytesPerSecond: 0 });
  const [first] = log.storedLog.sealed;
  for (const name of names) await log.change({ kind: "delete", log: { name } });
  await log.trim((await log.bounds()).next);
  for (let n = 0; n < 40; n++) await log.append(run(`${n}`.padEnd(500, ".")));
  await log.trim((await log.bounds()).next);
  await passTime(machine, log, 2_000);
  assert.ok(!log.storedLog.sealed.includes(first!), "it is removed");
  assert.throws(() => first!.openStore(), { kind: "unavailable" });
  assert.equal(log.storedLog.damage, undefined);
});

test("a start without the merged store is refused before it removes the neighbours", async () => {
  const machine = await settled(15, 24);
  const disk = new RefusingDisk(machine.disk);
  disk.refuse = (one, path) => (one === "rename" && path.endsWith(".store") ? "EIO" : undefined);
  const log = await openSettling(machine, { settlePace: pace, disk });
  await passTime(machine, log, 2_000);
  assert.equal(log.failure?.kind, "disk-failed");
  log.kill();
  machine.disk.kill();
  const left = machine.disk.list("/data/log").find((name) => name.endsWith(".store.settled"));
  const store = machine.disk.open(`/data/log/${left!}`, "write");
  store.truncate(store.size() - 1);
  store.close();
  const before = machine.disk.list("/data/log");
  await assert.rejects(openSettling(machine), {
    kind: "corrupt",
    message: /\.store is damaged at byte \d+ \(length\)/,
  });
  assert.deepEqual(machine.disk.list("/data/log"), before);
});

test("a repair leaves the neighbours of a merged segment to the next start, unless the segment is damaged", async () => {
  for (const isDamaged of [false, true]) {
    const machine = await settled(16, 24);
    const disk = new RefusingDisk(machine.disk);
    disk.refuse = (one) => (one === "remove" ? "EBUSY" : undefined);
    const log = await openSettling(machine, { settlePace: pace, disk });
    await passTime(machine, log, 2_000);
    const stores = orphans(machine, log).filter((name) => name.endsWith(".store"));
    assert.ok(stores.length > 0);
    const { path, bytes } = log.storedLog.sealed[0]!;
    await log.close();
    if (isDamaged) machine.disk.flipBit(path, 8 * (bytes - 20));
    const { actions } = repairLog(directoryOf(machine), true, { refused: true });
    const aside = actions.filter(({ action }) => action === "set-aside").map(({ file }) => file);
    if (isDamaged) assert.ok(stores.every((name) => aside.includes(name)));
    else assert.deepEqual(aside, []);
    if (isDamaged) continue;
    const again = await openSettling(machine, { settleBytesPerSecond: 0 });
    assert.deepEqual(orphans(machine, again), []);
    await again.close();
  }
});
