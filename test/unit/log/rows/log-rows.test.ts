/** The database of rows and the base of a log while it runs, is killed, damaged, copied and converted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { DiskUncertain } from "../../../../src/lib/disk/disk.ts";
import { LogState, repairLog, verifyLog } from "../../../../src/log/mod.ts";
import { rowsOfStart } from "../../../../src/log/rows/base-files.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";
import { corrupt, directoryOf } from "../../../support/log/closed-log.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { compact, run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";
import { MemoryRowStore } from "../../../support/rows/memory-row-store.ts";
import { until } from "../../../support/until.ts";

const settings = { segmentStoreBytesMax: 900 };
const rowsOf = ({ storedLog }: Pick<OneNodeLog, "storedLog">): LogRow[] =>
  [...storedLog.state.logs.rows()].sort((one, other) => one.id - other.id);

/** Logs that are created, written and deleted, over many segments. */
async function fill(log: OneNodeLog, from = 0, to = 12): Promise<void> {
  for (let n = from; n < to; n++) {
    const name = `log ${n}`;
    await log.change({ kind: "create", name, settings: n % 2 === 0 ? {} : { ttlMs: 900_000 } });
    for (let k = 0; k < 3; k++) await log.append(run(`${name} ${k}`), { log: { name } });
    if (n > 0 && n % 3 === 0) await log.change({ kind: "delete", log: { name: `log ${n - 2}` } });
    await log.append(run(`default ${n}`));
    if (n % 4 === 0) await log.append(run("again"), { log: { name: "log 0" } });
  }
}

/** The generation and the index of the database that a log was opened with. */
const databaseOf = ({ storedLog }: Pick<OneNodeLog, "storedLog">): number | undefined =>
  storedLog.state.logs.stored.database?.head.index;

const basesOf = (machine: SimMachine): string[] =>
  machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".rows"));

test("a start with a database: it folds only the frames after it; without one it folds all", async () => {
  const machine = simMachine("database");
  const log = await machine.open(settings);
  await fill(log);
  await log.storedLog.rows.settled();
  const rows = rowsOf(log);
  machine.disk.kill();
  const again = await machine.open(settings);
  assert.ok(databaseOf(again)! > 30);
  assert.deepEqual(rowsOf(again), rows);
  assert.ok(again.storedLog.state.logs.stored.dirty < rows.length);
  machine.disk.kill();
  const without = machine.openStored({ rowStore: new MemoryRowStore(machine.disk) });
  assert.equal(without.state.logs.stored.database, undefined);
  without.commitTo(without.durableIndex);
  assert.deepEqual(rowsOf({ storedLog: without }), rows);
  without.close();
});

test("a database that is missing, old, or of another log is not used, and the next checkpoint builds another", async () => {
  const machine = simMachine("replaced");
  const log = await machine.open(settings);
  await fill(log, 0, 6);
  await log.storedLog.rows.settled();
  const older = { disk: machine.disk.image(), store: machine.store.image() };
  await fill(log, 6, 12);
  await log.storedLog.rows.settled();
  const rows = rowsOf(log);
  const [generation] = machine.rowStore.generations();
  machine.disk.kill();
  machine.rowStore.replace(generation!, 99);
  const rebuilt = await machine.open(settings);
  assert.equal(databaseOf(rebuilt), undefined);
  assert.deepEqual(rowsOf(rebuilt), rows);
  await fill(rebuilt, 12, 15);
  await rebuilt.storedLog.rows.settled();
  assert.deepEqual(machine.rowStore.generations(), [generation! + 1]);
  // A database from the future of a directory that was rolled back.
  machine.disk.kill();
  machine.disk.restoreImage(older.disk);
  machine.store.restoreImage(older.store);
  machine.rowStore.replace(generation!, generation! + 1);
  const rolledBack = await machine.open(settings);
  assert.equal(databaseOf(rolledBack), undefined);
  assert.equal(rolledBack.storedLog.state.logs.named("log 11"), undefined);
});

test("a database from the future: it is not used after a directory was rolled back, also with as many logs", async () => {
  const machine = simMachine("future");
  const log = await machine.open(settings);
  await fill(log);
  for (let n = 0; n < 20; n++) await log.append(run(`default ${n}`));
  await log.storedLog.rows.settled();
  const older = { disk: machine.disk.image(), store: machine.store.image() };
  const rows = rowsOf(log);
  const before = databaseOf(log);
  for (let n = 0; n < 40; n++)
    await log.append(run(`later ${n}`), { log: { name: `log ${[0, 8, 10, 11][n % 4]}` } });
  await log.storedLog.rows.settled();
  assert.ok(databaseOf(log)! > before!);
  assert.notDeepEqual(rowsOf(log), rows);
  machine.disk.kill();
  machine.disk.restoreImage(older.disk);
  machine.store.restoreImage(older.store);
  const rolledBack = await machine.open(settings);
  assert.deepEqual(rowsOf(rolledBack), rows);
  const { index } = rolledBack.storedLog.end;
  assert.ok((databaseOf(rolledBack) ?? 0) <= index, "the rows may have been moved into another database");
});

test("a database that is built again from many rows: it is used by the next start, also after a kill, and not on a full disk", async () => {
  const machine = simMachine("many");
  const log = await machine.open(settings);
  await fill(log, 0, 30);
  await log.storedLog.rows.settled();
  const rows = rowsOf(log);
  machine.disk.kill();
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  const [generation] = machine.rowStore.generations();
  await machine.rowStore.remove(generation!);
  const rebuilt = machine.openStored();
  const index = databaseOf({ storedLog: rebuilt });
  assert.ok(index! > 30);
  assert.ok(rebuilt.state.logs.stored.dirty < 12);
  machine.disk.kill();
  const again = machine.openStored();
  assert.equal(databaseOf({ storedLog: again }), index);
  again.commitTo(again.durableIndex);
  assert.deepEqual(rowsOf({ storedLog: again }), rows);
  machine.disk.kill();
  machine.disk.restoreImage(image.disk);
  machine.store.restoreImage(image.store);
  await machine.rowStore.remove(generation! + 1);
  machine.rowStore.failNext = Object.assign(new Error("full"), { code: "ENOSPC" });
  const full = machine.openStored();
  assert.equal(databaseOf({ storedLog: full }), undefined);
  full.commitTo(full.durableIndex);
  assert.deepEqual(rowsOf({ storedLog: full }), rows);
  full.close();
});

test("a database older than the first segment: it is not used, and the base and the frames give all rows", async () => {
  const machine = simMachine("older than the start");
  const log = await machine.open(settings);
  const names = ["a", "b", "c", "d"];
  for (const name of names) await log.change({ kind: "create", name, settings: {} });
  for (let n = 0; n < 20; n++) await log.append(run(`default ${n}`));
  await log.storedLog.rows.settled();
  const older = databaseOf(log)!;
  const putBack = machine.rowStore.copyOf(machine.rowStore.generations().at(-1)!);
  // From here on no log is created or deleted, so the numbers of the older database are right, and its rows are not.
  for (const name of names) {
    for (let n = 0; n < 8; n++) await log.append(run(`${name} ${n}`), { log: { name } });
    await log.trim(6, { log: { name } });
  }
  await log.trim((await log.bounds()).next);
  await log.append(run("last"));
  await log.storedLog.rows.settled();
  assert.ok((await compact(log.storedLog)) > 0);
  const rows = rowsOf(log);
  const { firstIndex } = log.storedLog;
  assert.ok(older > 4 && older < firstIndex - 1);
  machine.disk.kill();
  putBack();
  const again = await machine.open(settings);
  assert.equal(databaseOf(again), undefined);
  assert.deepEqual(rowsOf(again), rows);
  assert.deepEqual(
    rows.map(({ lowest, next }) => [lowest, next]),
    names.map(() => [6, 8]),
  );
  // The next checkpoint builds another one.
  for (let n = 0; n < 20; n++) await again.append(run(`default ${n}`));
  await again.storedLog.rows.settled();
  assert.ok(databaseOf(again)! >= firstIndex);
});

test("segments without named logs that are removed: the next checkpoint is not older than the start", async () => {
  const machine = simMachine("start passes the database");
  const rowCheckpoints = { fewRows: 0, namesMax: 4, rowsMax: 1_000, framesMax: 1_000, bytesMax: 1_000_000 };
  const log = await machine.open(settings, { rowCheckpoints });
  for (let n = 0; n < 8; n++) await log.change({ kind: "create", name: `log ${n}`, settings: {} });
  for (let n = 0; n < 20; n++) await log.append(run(`default ${n}`));
  await log.storedLog.rows.settled();
  const rows = rowsOf(log);
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 20; n++) await log.append(run(`more ${n}`));
    await log.trim((await log.bounds()).next - 1);
    assert.ok((await compact(log.storedLog)) > 0);
    assert.ok(databaseOf(log)! >= log.storedLog.firstIndex - 1);
  }
  machine.disk.kill();
  const again = await machine.open(settings);
  assert.notEqual(databaseOf(again), undefined);
  assert.deepEqual(rowsOf(again), rows);
});

test("a failed checkpoint: it is written again, and the rows stay known meanwhile", async () => {
  const machine = simMachine("refused");
  const log = await machine.open(settings);
  await fill(log, 0, 4);
  await log.storedLog.rows.settled();
  const before = databaseOf(log);
  machine.rowStore.failNext = new Error("no space");
  await fill(log, 4, 8);
  assert.equal(machine.rowStore.failNext, undefined, "a checkpoint failed");
  const rows = rowsOf(log);
  machine.clock.advance(2_000);
  await log.storedLog.rows.settled();
  assert.ok(databaseOf(log)! > before!);
  assert.deepEqual(rowsOf(log), rows);
});

test("a database that turns out to be damaged: another one is built while the log runs, and the next start uses it", async () => {
  const machine = simMachine("damaged database");
  const log = await machine.open(settings);
  await fill(log, 0, 6);
  await log.storedLog.rows.settled();
  const [generation] = machine.rowStore.generations();
  const { stored } = log.storedLog.state.logs;
  stored.damaged();
  assert.equal(log.storedLog.damagedSegments, 1);
  await fill(log, 6, 12);
  await log.storedLog.rows.settled();
  assert.equal(log.storedLog.failure, undefined);
  assert.deepEqual([stored.isDamaged, log.storedLog.damagedSegments], [false, 0]);
  assert.ok(stored.database!.generation > generation!);
  assert.deepEqual(machine.rowStore.generations(), [stored.database!.generation]);
  const rows = rowsOf(log);
  machine.disk.kill();
  const without = machine.openStored({ rowStore: new MemoryRowStore(machine.disk) });
  without.commitTo(without.durableIndex);
  assert.deepEqual(rowsOf({ storedLog: without }), rows);
  without.close();
  const again = await machine.open(settings);
  assert.equal(again.storedLog.state.logs.stored.database?.generation, stored.database!.generation);
  assert.deepEqual(rowsOf(again), rows);
  await fill(again, 12, 16);
  await again.storedLog.rows.settled();
  assert.deepEqual(machine.rowStore.generations(), [again.storedLog.state.logs.stored.database?.generation]);
});

test("a database that is built again from a base: its rows and sums are those of the frames", async () => {
  const machine = simMachine("built from a base");
  const log = await machine.open(settings);
  await fill(log, 0, 8);
  await log.change({ kind: "create", name: "owned", settings: {} }, { subject: "ann" });
  for (const { name, next } of rowsOf(log)) await log.trim(next, { log: { name } });
  await log.trim((await log.bounds()).next);
  await log.append(run("last"));
  for (const { name } of rowsOf(log)) await log.append(run("again"), { log: { name } });
  await log.storedLog.rows.settled();
  assert.ok((await compact(log.storedLog)) > 0);
  assert.equal(basesOf(machine).length, 1);
  const { stored } = log.storedLog.state.logs;
  stored.damaged();
  await fill(log, 8, 14);
  await log.storedLog.rows.settled();
  assert.deepEqual([stored.isDamaged, log.storedLog.failure], [false, undefined]);
  assert.deepEqual(stored.usageOf("ann"), { logs: 1, bytes: log.storedLog.state.logs.named("owned")!.bytes });
  const rows = rowsOf(log);
  machine.disk.kill();
  const without = machine.openStored({ rowStore: new MemoryRowStore(machine.disk) });
  without.commitTo(without.durableIndex);
  assert.deepEqual(rowsOf({ storedLog: without }), rows);
});

test("a checkpoint that finds the database damaged: it is told once and not retried, and another one is built", async () => {
  const machine = simMachine("damaged checkpoint");
  const log = await machine.open(settings);
  await fill(log, 0, 6);
  await log.storedLog.rows.settled();
  const { stored } = log.storedLog.state.logs;
  const { database } = stored;
  let writes = 0;
  database!.write = () => {
    writes++;
    return Promise.reject(new Fault("corrupt"));
  };
  for (let n = 6; writes === 0; n++) await fill(log, n, n + 1);
  await log.storedLog.rows.settled();
  const { damage } = log.storedLog;
  assert.deepEqual(
    [damage?.kind, damage?.facts["why"], log.storedLog.damagedSegments],
    ["corrupt", "rows", 1],
  );
  assert.match(damage?.message ?? "", /builds it again/);
  assert.equal(writes, 1);
  const rows = rowsOf(log);
  machine.clock.advance(60_000);
  await log.storedLog.rows.settled();
  assert.equal(writes, 1);
  assert.deepEqual([log.storedLog.damage, stored.isDamaged], [undefined, false]);
  assert.deepEqual(rowsOf(log), rows);
  assert.equal(stored.unsaved, stored.dirty);
  machine.disk.kill();
  const again = await machine.open(settings);
  assert.deepEqual([rowsOf(again), again.storedLog.damage], [rows, undefined]);
});

test("a database of which a sync failed takes no more writes: another one is built", async () => {
  const machine = simMachine("failed sync");
  const log = await machine.open(settings);
  await fill(log, 0, 6);
  await log.storedLog.rows.settled();
  const { stored } = log.storedLog.state.logs;
  const { generation } = stored.database!;
  let writes = 0;
  stored.database!.write = () => {
    writes++;
    return Promise.reject(new DiskUncertain(new Error("EIO")));
  };
  for (let n = 6; writes === 0; n++) await fill(log, n, n + 1);
  await log.storedLog.rows.settled();
  machine.clock.advance(2_000);
  await log.storedLog.rows.settled();
  assert.deepEqual([writes, stored.isDamaged, log.storedLog.failure], [1, false, undefined]);
  assert.ok(stored.database!.generation > generation);
});

test("a damaged database on a full disk: it is built later, and a damaged segment ends that and at last the log", async () => {
  const machine = simMachine("cannot be built");
  const log = await machine.open(settings);
  await fill(log, 0, 6);
  await log.storedLog.rows.settled();
  const { stored } = log.storedLog.state.logs;
  const [first] = log.storedLog.sealed;
  stored.damaged();
  machine.rowStore.failNext = Object.assign(new Error("full"), { code: "ENOSPC" });
  await fill(log, 6, 10);
  await log.storedLog.rows.settled();
  assert.equal(stored.isDamaged, true);
  machine.disk.flipBit(first!.path, 8 * 100);
  machine.clock.advance(60_000);
  await log.storedLog.rows.settled();
  assert.equal(stored.isDamaged, true);
  assert.equal(log.storedLog.failure, undefined);
  const failed = async (): Promise<void> => {
    for (let n = 0; log.storedLog.failure === undefined; n++) {
      assert.ok(n < 500, "memory grows without limit");
      await log.change({ kind: "create", name: `more ${n}`, settings: {} });
    }
  };
  // The change that meets the failed log is refused.
  await failed().catch((reason: unknown) => assert.ok(reason instanceof Fault, String(reason)));
  const { failure } = log;
  assert.ok(failure !== undefined);
  assert.deepEqual([failure.kind, (failure.cause as Fault).kind], ["disk-failed", "corrupt"]);
});

test("a database that is built again from many frames of one log in a segment: its rows are those of the frames", async () => {
  const machine = simMachine("many frames");
  const log = await machine.open({ segmentStoreBytesMax: 400_000 });
  await log.change({ kind: "create", name: "busy", settings: {} });
  for (let n = 0; n < 2_500; n++) await log.append(run("busy"), { log: { name: "busy" } });
  const { stored } = log.storedLog.state.logs;
  stored.damaged();
  await fill(log, 0, 4);
  while (log.storedLog.sealed.length < 2) await log.append(run("v".repeat(10_000)));
  await log.storedLog.rows.settled();
  assert.equal(stored.isDamaged, false);
  const rows = rowsOf(log);
  assert.equal(rows.find(({ name }) => name === "busy")?.next, 2_500);
  machine.disk.kill();
  const again = await machine.open({ segmentStoreBytesMax: 400_000 });
  assert.deepEqual(rowsOf(again), rows);
});

test("a damaged database that is built later: the start of the log may have passed its boundary meanwhile", async () => {
  const machine = simMachine("start passes the boundary");
  const log = await machine.open(settings);
  await fill(log, 0, 4);
  for (const { name, next } of rowsOf(log)) await log.trim(next, { log: { name } });
  const defaults = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await log.append(run(`default ${n}`));
    await log.storedLog.rows.settled();
  };
  await defaults();
  await log.trim((await log.bounds()).next - 1);
  assert.ok((await compact(log.storedLog)) > 0);
  const rows = rowsOf(log);
  const { stored } = log.storedLog.state.logs;
  stored.damaged();
  machine.rowStore.failNext = Object.assign(new Error("full"), { code: "ENOSPC" });
  await defaults();
  assert.equal(stored.isDamaged, true);
  const boundary = log.storedLog.durableIndex;
  for (let round = 0; round < 3; round++) await defaults();
  await log.trim((await log.bounds()).next - 1);
  assert.ok((await compact(log.storedLog)) > 0);
  assert.ok(log.storedLog.firstIndex > boundary);
  machine.clock.advance(60_000);
  await log.storedLog.rows.settled();
  assert.deepEqual([stored.isDamaged, log.storedLog.failure], [false, undefined]);
  assert.deepEqual(rowsOf(log), rows);
});

test("a removal of segments: it moves the base with the start, also if it stops at any operation of the disk", async () => {
  const machine = simMachine("base");
  const log = await machine.open(settings);
  await fill(log);
  await log.trim((await log.bounds()).next);
  for (const { name, next } of rowsOf(log).slice(0, 4)) await log.trim(next, { log: { name } });
  await log.append(run("last"));
  await log.storedLog.rows.settled();
  const rows = rowsOf(log);
  await log.close();
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  let completed = false;
  for (let operations = 0; !completed; operations++) {
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
    const opened = machine.openStored();
    opened.commitTo(opened.durableIndex);
    machine.disk.crashAfter(operations);
    const before = opened.firstIndex;
    try {
      await compact(opened);
      completed = opened.failure === undefined && opened.firstIndex > before;
    } catch {
      // The power failure.
    }
    machine.disk.crash();
    const again = machine.openStored();
    again.commitTo(again.durableIndex);
    assert.deepEqual(rowsOf({ storedLog: again }), rows, `after ${operations} operations`);
    assert.ok(basesOf(machine).length <= 1);
    again.close();
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, [], `after ${operations} operations`);
    assert.ok(operations < 200);
  }
  assert.equal(basesOf(machine).length, 1);
});

test("a damaged base is found by verify, refused by opening, and not repaired without a database", async () => {
  const machine = simMachine("damaged base");
  const log = await machine.open(settings);
  await fill(log);
  await log.trim((await log.bounds()).next);
  for (const { name, next } of rowsOf(log).slice(0, 4)) await log.trim(next, { log: { name } });
  await log.append(run("last"));
  assert.ok((await compact(log.storedLog)) > 0);
  await log.close();
  const [base] = basesOf(machine);
  const path = `${simDirectory}/log/${base}`;
  const content = machine.disk.contents(path);
  machine.disk.flipBit(path, 8 * (content.length - 3));
  assert.deepEqual(
    verifyLog(directoryOf(machine)).findings.map(({ file, kind }) => [file, kind]),
    [[base, "rows"]],
  );
  assert.throws(() => machine.openStored(), corrupt);
  const { rowStore: _, ...withoutRows } = directoryOf(machine);
  assert.throws(() => repairLog(withoutRows, true), /backup/);
});

test("a damaged base: repair builds it from the database and the frames between", async () => {
  const machine = simMachine("base from the database");
  const log = await machine.open(settings);
  await fill(log);
  await log.trim((await log.bounds()).next);
  for (const { name, next } of rowsOf(log).slice(0, 4)) await log.trim(next, { log: { name } });
  await log.append(run("last"));
  assert.ok((await compact(log.storedLog)) > 0);
  const [, second, third, fourth, fifth] = rowsOf(log).map(({ name }) => ({ name }));
  await log.append(run("one", "two", "three"), { log: second! });
  const { next } = log.storedLog.state.logs.named(second!.name)!;
  await log.trim(next - 1, { log: second! });
  await log.change({ kind: "update", log: third!, settings: { ttlMs: 1_000_000 } });
  await log.change({ kind: "close", log: fourth! });
  await log.append(run("gone"), { log: fifth! });
  await log.change({ kind: "delete", log: fifth! });
  await log.change({ kind: "create", name: fifth!.name, settings: {} });
  await fill(log, 40, 46);
  await log.storedLog.rows.settled();
  const rows = rowsOf(log);
  const { index } = log.storedLog.state.logs.stored.database!.head;
  assert.ok(index > log.storedLog.firstIndex + 10, "frames lie between the base and the database");
  await log.close();
  const [base] = basesOf(machine);
  const path = `${simDirectory}/log/${base}`;
  machine.disk.flipBit(path, 8 * (machine.disk.contents(path).length - 3));
  const damaged = [...machine.disk.contents(path)];
  assert.throws(() => machine.openStored(), corrupt);
  const planned = repairLog(directoryOf(machine), false);
  assert.deepEqual([planned.actions.map(({ action }) => action), planned.lost], [["build-base"], 0]);
  assert.deepEqual([...machine.disk.contents(path)], damaged, "a plan changes nothing");
  const { actions, lost, lostLogs } = repairLog(directoryOf(machine), true);
  assert.deepEqual([actions.map(({ action }) => action), lost, lostLogs], [["build-base"], 0, []]);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  for (const rowStore of [machine.rowStore, undefined]) {
    const again = machine.openStored({ rowStore: rowStore! });
    again.commitTo(again.durableIndex);
    assert.deepEqual(rowsOf({ storedLog: again }), rows);
    again.close();
  }
});

test("a base that is damaged while the log runs: it is reported once, and no segment is removed after that", async () => {
  const machine = simMachine("damaged base of a running log");
  const log = await machine.open(settings);
  const removeAll = async (from: number): Promise<number> => {
    await fill(log, from, from + 6);
    await log.trim((await log.bounds()).next);
    for (const { name, next } of rowsOf(log)) await log.trim(next, { log: { name } });
    await log.append(run("last"));
    return compact(log.storedLog);
  };
  assert.ok((await removeAll(0)) > 0);
  const [base] = basesOf(machine);
  machine.disk.flipBit(`${simDirectory}/log/${base}`, 8 * 60);
  await removeAll(6);
  const first = log.storedLog.firstIndex;
  const { damage } = log.storedLog;
  assert.deepEqual([damage?.kind, damage?.facts["file"]], ["corrupt", base]);
  assert.equal(await removeAll(12), 0);
  assert.equal(log.storedLog.firstIndex, first);
  assert.deepEqual([basesOf(machine), log.storedLog.damagedSegments], [[base], 1]);
});

test("a directory whose checkpoints hold the rows is converted, also if that stops at any operation", async () => {
  const machine = simMachine("converted");
  const log = await machine.open(settings);
  await fill(log);
  await log.trim((await log.bounds()).next);
  for (const { name, next } of rowsOf(log).slice(0, 4)) await log.trim(next, { log: { name } });
  await log.append(run("last"));
  assert.ok((await compact(log.storedLog)) > 0);
  const rows = rowsOf(log);
  await log.close();
  toFormat2(machine);
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, [], "before the conversion");
  for (let operations = 0; operations < 12; operations++) {
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
    machine.disk.crashAfter(operations);
    try {
      machine.openStored().close();
    } catch {
      // The power failure.
    }
    machine.disk.crash();
    const again = machine.openStored();
    again.commitTo(again.durableIndex);
    assert.deepEqual(rowsOf({ storedLog: again }), rows, `after ${operations} operations`);
    again.close();
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    assert.equal((machine.store.get("log/directory") as { format: number }).format, 3);
  }
});

/** Writes the rows into the checkpoints, as the version before did. */
function toFormat2(machine: SimMachine): void {
  const { store, disk } = machine;
  const changes: Record<string, unknown> = { "log/rows": undefined };
  for (const key of store.keys("log/checkpoint/")) {
    const first = Number(key.slice("log/checkpoint/".length));
    const checkpoint = store.get(key) as { logs?: Record<string, unknown> };
    if (checkpoint.logs === undefined) continue;
    const { size: _, ...logs } = checkpoint.logs;
    changes[key] = { ...checkpoint, logs: { ...logs, rows: rowsBefore(machine, first) } };
  }
  const { id } = store.get("log/directory") as { id: Uint8Array };
  store.write({ ...changes, "log/directory": { format: 2, id } });
  for (const name of basesOf(machine)) disk.remove(`${simDirectory}/log/${name}`);
  disk.syncDirectory(`${simDirectory}/log`);
}

/** A log whose first segments can be removed, with rows before what stays. */
async function removable(name: string): Promise<{ machine: SimMachine; log: OneNodeLog }> {
  const machine = simMachine(name);
  const log = await machine.open(settings);
  for (let n = 0; n < 12; n++) {
    await log.change({ kind: "create", name: `${name} ${n}`, settings: {} });
    await log.append(run("one"), { log: { name: `${name} ${n}` } });
    await log.trim(1, { log: { name: `${name} ${n}` } });
  }
  for (let n = 0; n < 9; n++) await log.append(run(`default ${n}`));
  await log.trim(9);
  await log.append(run("last"));
  return { machine, log };
}

test("a snapshot that arrives during a removal: its base stays, and the next start has its rows", async () => {
  const source = (await removable("source")).log.storedLog;
  await compact(source);
  const start = { ...startOf(source), rows: source.rows.openBase()! };
  const { machine, log } = await removable("follower");
  const { rowStore } = machine;
  await log.storedLog.rows.settled();
  const later = () => new Promise((resolve) => setImmediate(resolve));
  const merge = rowStore.mergeBase.bind(rowStore);
  rowStore.mergeBase = async (...parts) => {
    await merge(...parts);
    for (let turn = 0; turn < 20; turn++) await later();
  };
  const build = rowStore.build.bind(rowStore);
  rowStore.build = async (...parts) => {
    const built = await build(...parts);
    for (let turn = 0; turn < 40; turn++) await later();
    return built;
  };
  log.storedLog.compact();
  await log.storedLog.rows.prepare(start);
  log.storedLog.reset(start);
  await log.storedLog.rows.settled();
  assert.equal(basesOf(machine).length, 1);
  machine.disk.kill();
  const again = machine.openStored();
  assert.equal(again.state.logs.size, start.checkpoint.logs?.size);
  again.close();
});

test("snapshots that arrive one after another: the last one counts, and the databases before it are removed", async () => {
  const source = (await removable("source")).log.storedLog;
  await compact(source);
  const start = { ...startOf(source), rows: source.rows.openBase()! };
  const { machine, log } = await removable("follower");
  const { storedLog } = log;
  const { rowStore } = machine;
  const open = new Set<number>();
  const build = rowStore.build.bind(rowStore);
  rowStore.build = async (identity, from) => {
    const built = await build(identity, from);
    open.add(identity.generation);
    const close = built.close.bind(built);
    built.close = async () => {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      await close();
      open.delete(identity.generation);
    };
    return built;
  };
  const remove = rowStore.remove.bind(rowStore);
  rowStore.remove = (generation) => {
    assert.ok(!open.has(generation), "a database that is open was removed");
    return remove(generation);
  };
  for (let time = 0; time < 3; time++) {
    await storedLog.rows.prepare(start);
    storedLog.reset(start);
  }
  await storedLog.rows.settled();
  await until("one database stays", () => machine.rowStore.generations().length === 1);
  machine.disk.kill();
  const again = machine.openStored();
  assert.equal(again.state.logs.size, start.checkpoint.logs?.size);
  assert.notEqual(again.state.logs.stored.database, undefined);
  again.close();
});

/** The rows before the segment that begins at `first`. */
function rowsBefore(machine: SimMachine, first: number): LogRow[] {
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  const log = machine.openStored();
  try {
    const rows = log.rows.openBase();
    const start = rows === undefined ? startOf(log) : { ...startOf(log), rows };
    const state = LogState.from(start.checkpoint, rowsOfStart(start));
    for (let at = log.firstIndex; at < first; ) {
      const frames = log.entries(at, 1 << 20, first - 1);
      for (const frame of frames) state.stage(frame, 0);
      at += frames.length;
    }
    state.commitTo(first - 1);
    return [...state.logs.rows()];
  } finally {
    log.close();
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
  }
}
