/** verify and repair: the database of named logs beside the frames, and rows that do not fit into memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareLogs, type LogRow, repairLog, verifyLog } from "../../../../src/log/mod.ts";
import {
  decodeHead,
  decodeRow,
  encodeHead,
  encodeRow,
  type RowsAt,
} from "../../../../src/log/state/row-codec.ts";
import type { StoredRow } from "../../../../src/rows/mod.ts";
import { directoryOf, withFewRows } from "../../../support/log/closed-log.ts";
import { compact, run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";

const settings = { segmentStoreBytesMax: 900 };

/** A closed machine with a database of rows, and with a base if segments were removed. */
async function closed({ removed = false, seed = "rows" } = {}): Promise<SimMachine> {
  const machine = simMachine(seed);
  const log = await machine.open(settings);
  for (let n = 0; n < 12; n++) {
    const name = `log ${n}`;
    await log.change({ kind: "create", name, settings: n % 2 === 0 ? {} : { ttlMs: 900_000 } });
    for (let k = 0; k < 3; k++) {
      const producer = { subject: "s", id: 1n, epoch: 0, sequence: n };
      await log.append(run(`${name} ${k}`), k === 0 ? { producer } : { log: { name } });
    }
    if (n % 4 === 3) await log.change({ kind: "delete", log: { name: `log ${n - 2}` } });
  }
  if (removed) {
    for (let n = 0; n < 8; n++) if (n % 4 !== 1) await log.trim(2, { log: { name: `log ${n}` } });
    await log.trim(7);
    await log.append(run("more"));
    assert.ok((await compact(log.storedLog)) > 0);
  }
  await log.storedLog.rows.settled();
  await log.close();
  return machine;
}

/** The database of a closed machine: its file, the rows in it, and its head. */
function databaseOf(machine: SimMachine): { generation: number; rows: StoredRow[]; at: RowsAt } {
  const [generation = 0] = machine.rowStore.generations();
  const database = machine.rowStore.open({ directoryId: new Uint8Array(16).fill(7), generation }, 0);
  const rows = database.rowsAfter(-1, 100).map(({ row }) => row!);
  return { generation, rows, at: decodeHead(database.head) };
}

test("the database of a closed log is that of the frames", async () => {
  for (const removed of [false, true]) {
    const machine = await closed({ removed });
    const { generation, rows } = databaseOf(machine);
    const { findings, rows: report } = verifyLog(directoryOf(machine));
    assert.deepEqual(findings, []);
    assert.deepEqual(report?.differences, []);
    assert.deepEqual([report?.file, report?.rows], [`logs-${generation}.db`, rows.length]);
    assert.ok(rows.length > 4);
  }
});

test("each kind of difference between the database and the frames is found, with its log; repair builds the database again", async () => {
  const sample = databaseOf(await closed()).rows;
  const [, other] = sample;
  const row = decodeRow(other!);
  const { id, name } = row;
  const change = (fields: Partial<LogRow>): StoredRow => encodeRow({ ...row, ...fields });
  const fields = (field: string, found: unknown, expected: unknown): unknown => [
    { kind: "changed", id, name, fields: [{ field, expected, found }] },
  ];
  const cases: readonly (readonly [what: string, StoredRow | undefined, expected: unknown])[] = [
    ["a row is missing", undefined, [{ kind: "missing", id, name, fields: [] }]],
    ["another name", change({ name: "other" }), fields("name", "other", name)],
    ["another end", change({ next: row.next + 1 }), fields("next", row.next + 1, row.next)],
    ["other bytes", change({ bytes: 1 }), fields("bytes", 1, row.bytes)],
    ["another last batch", change({ lastIndex: 3 }), fields("lastIndex", 3, row.lastIndex)],
    ["closed", change({ closed: true }), fields("closed", true, false)],
    ["an owner", change({ owner: "eve" }), fields("owner", "eve", undefined)],
    ["another due time", { ...other!, dueMs: 5 }, fields("due", 5, other!.dueMs)],
    [
      "a malformed value",
      { ...other!, value: Uint8Array.of(9) },
      [{ kind: "damaged", id, name, fields: [] }],
    ],
  ];
  for (const [what, altered, expected] of cases) {
    const machine = await closed();
    const { generation } = databaseOf(machine);
    machine.rowStore.alter(generation, [{ id, row: altered }]);
    const report = verifyLog(directoryOf(machine));
    const file = `logs-${generation}.db`;
    assert.deepEqual(report.findings, [{ file, position: 0, kind: "rows" }], what);
    assert.deepEqual(report.rows?.differences, expected, what);
    assert.equal(report.rows?.different, 1);
    const action = { action: "build-rows", file, position: 0, bytes: 0 };
    const identity = { directoryId: new Uint8Array(16), needed: () => true, changes: {} };
    assert.deepEqual(repairLog(directoryOf(machine), false, { identity }).actions, [action]);
    assert.equal(verifyLog(directoryOf(machine)).findings.length, 1, "without --yes nothing is changed");
    const { actions, lost, lostLogs } = repairLog(directoryOf(machine), true, { identity });
    assert.deepEqual([actions, lost, lostLogs], [[action], 0, []], "nothing is lost, and the identity stays");
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    const log = await machine.open(settings);
    assert.deepEqual(log.storedLog.state.logs.row(id), row);
    await log.close();
  }
});

test("a row too many, another head, and another place of the log are found", async () => {
  const machine = await closed();
  const { generation, rows, at } = databaseOf(machine);
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  const file = `logs-${generation}.db`;
  const added: StoredRow = { ...rows[0]!, id: at.head.nextId + 7, name: "added" };
  machine.rowStore.alter(generation, [{ id: added.id, row: added }]);
  const { findings, rows: report } = verifyLog(directoryOf(machine));
  assert.deepEqual(findings, [{ file, position: 0, kind: "rows" }]);
  assert.deepEqual(report?.differences, [{ kind: "extra", id: added.id, name: "added", fields: [] }]);
  machine.rowStore.alter(generation, [{ id: added.id, row: undefined }]);
  const heads = [
    [encodeHead({ ...at, head: { ...at.head, nextId: at.head.nextId + 1 } }), "head"],
    [encodeHead({ ...at, head: { ...at.head, life: at.head.life + 1 } }), "head"],
    [encodeHead({ ...at, crc: (at.crc ^ 1) >>> 0 }), "head"],
    [encodeHead({ ...at, index: at.index + 1 }), "index"],
    [encodeHead({ ...at, index: at.index + 100_000 }), "index"],
  ] as const;
  for (const [head, kind] of heads) {
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
    machine.rowStore.alter(generation, [], head);
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, [{ file, position: 0, kind }]);
  }
});

test("a database that is missing or behind the start of the log is no damage", async () => {
  const machine = await closed({ removed: true });
  const { generation } = databaseOf(machine);
  machine.rowStore.alter(generation, [], { index: 1 });
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  await machine.rowStore.remove(generation);
  const { findings, rows } = verifyLog(directoryOf(machine));
  assert.deepEqual([findings, rows], [[], undefined]);
});

test("a checkpoint with other producers or another lowest offset is found", async () => {
  for (const change of [{ producers: [] }, { lowest: 1 }]) {
    const machine = await closed();
    const key = machine.store.keys("log/checkpoint/").at(-1)!;
    machine.store.write({ [key]: { ...(machine.store.get(key) as object), ...change } });
    const { findings } = verifyLog(directoryOf(machine));
    assert.deepEqual(findings, [{ file: "meta", position: 0, kind: "checkpoint" }]);
  }
});

test("rows that do not fit into memory: verify, repair and compare find the same", async () => {
  for (const removed of [false, true]) {
    const machine = await closed({ removed });
    const image = { disk: machine.disk.image(), store: machine.store.image() };
    let databases = 0;
    const few = withFewRows(machine, 3, () => databases++);
    const expected = verifyLog(directoryOf(machine));
    const found = verifyLog(few);
    assert.deepEqual([...found.logs], [...expected.logs]);
    assert.deepEqual([found.findings, found.rows], [expected.findings, expected.rows]);
    assert.equal(databases, 1);
    const comparison = compareLogs([directoryOf(machine), few]);
    assert.deepEqual([comparison.different, comparison.notEverywhere, comparison.findings], [[], [], []]);
    const store = machine.disk
      .list(`${simDirectory}/log`)
      .filter((name) => name.endsWith(".store"))
      .at(-2)!;
    machine.disk.flipBit(`${simDirectory}/log/${store}`, 8 * 300);
    const damaged = { disk: machine.disk.image(), store: machine.store.image() };
    const plan = repairLog(directoryOf(machine), true);
    const log = await machine.open(settings);
    const rows = [...log.storedLog.state.logs.rows()];
    await log.close();
    machine.disk.restoreImage(damaged.disk);
    machine.store.restoreImage(damaged.store);
    assert.deepEqual(repairLog(few, true), plan);
    const again = await machine.open(settings);
    assert.deepEqual([...again.storedLog.state.logs.rows()], rows);
    await again.close();
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
  }
});
