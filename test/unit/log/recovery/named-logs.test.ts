/** verify, repair and compare with named logs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { compareLogs, repairLog, verifyLog } from "../../../../src/log/mod.ts";
import { corrupt, directoryOf } from "../../../support/log/closed-log.ts";
import {
  allValues,
  compact,
  run,
  type SimMachine,
  simDirectory,
  simMachine,
} from "../../../support/log/logs.ts";

const settings = { segmentStoreBytesMax: 700 };

/** A closed machine with the logs a (id 1) and b (id 3), and a deleted one between them. `odd`: another record in b. */
async function closed({ records = 12, odd = -1, trim = 0, seed = 1 } = {}): Promise<SimMachine> {
  const machine = simMachine(seed);
  const log = await machine.open(settings);
  for (const name of ["a", "gone", "b"]) await log.change({ kind: "create", name, settings: {} });
  await log.append(run("of a log that is deleted"), { log: { name: "gone" } });
  await log.change({ kind: "delete", log: { name: "gone" } });
  for (let n = 0; n < records; n++) {
    await log.append(run(`default ${n}`));
    await log.append(run(`a ${n}`, `a ${n} more`), { log: { name: "a" } });
    if (n % 3 === 0) await log.append(run(n === odd ? "odd" : `b ${n}`), { log: { name: "b" } });
  }
  if (trim > 0) {
    await log.trim(trim);
    await log.trim(2 * trim, { log: { name: "a" } });
    await log.trim(Math.ceil(trim / 3), { log: { name: "b" } });
    await compact(log.storedLog);
  }
  await log.close();
  return machine;
}

/** The values of all logs, by name. */
async function valuesOf(machine: SimMachine): Promise<Record<string, string[]>> {
  const log = await machine.open(settings);
  const values: Record<string, string[]> = { default: await allValues(log) };
  for (const { name, id } of log.replica.log.named.list("", "", 9).logs)
    values[`${name} ${id}`] = await allValues(log.replica.log.named.open({ name, id }));
  await log.close();
  return values;
}

const filesOf = (machine: SimMachine, ending: string): string[] =>
  machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(ending));
const pathOf = (name: string): string => `${simDirectory}/log/${name}`;

test("a closed log has no findings, and verify counts its named logs", async () => {
  for (const trim of [0, 8]) {
    const machine = await closed({ trim });
    const { findings, torn, logs } = verifyLog(directoryOf(machine));
    assert.deepEqual([findings, torn], [[], undefined]);
    const found = [...logs].map(({ id, name, lowest, next }) => [id, name, lowest, next]);
    assert.deepEqual(found, [
      [1, "a", 2 * trim, 24],
      [3, "b", Math.ceil(trim / 3), 4],
    ]);
  }
});

test("a log index that is missing or wrong is found with its name; repair and opening rebuild it", async () => {
  for (const trim of [0, 8]) {
    const machine = await closed({ trim });
    const names = filesOf(machine, ".logs");
    assert.ok(names.length > 1);
    const expected = await valuesOf(machine);
    for (const name of names) {
      const content = Buffer.from(machine.disk.contents(pathOf(name)));
      const damages = [
        ["missing", () => machine.disk.remove(pathOf(name))],
        ["entry", () => machine.disk.flipBit(pathOf(name), 8 * (content.length >>> 1))],
        ["entry", () => machine.disk.open(pathOf(name), "write").truncate(30)],
      ] as const;
      for (const [kind, damage] of damages) {
        damage();
        assert.deepEqual(verifyLog(directoryOf(machine)).findings, [{ file: name, position: 0, kind }]);
        const image = { disk: machine.disk.image(), store: machine.store.image() };
        assert.deepEqual(await valuesOf(machine), expected, "a reader rebuilds it");
        machine.disk.restoreImage(image.disk);
        machine.store.restoreImage(image.store);
        const { actions } = repairLog(directoryOf(machine), true);
        assert.deepEqual(actions, [{ action: "build-index", file: name, position: 0, bytes: 0 }]);
        assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
        if (trim === 0) assert.deepEqual(Buffer.from(machine.disk.contents(pathOf(name))), content);
        assert.deepEqual(await valuesOf(machine), expected);
      }
    }
  }
});

test("damage in one store leaves the rows of the later ones known: there is no other finding", async () => {
  const machine = await closed();
  const [, second] = filesOf(machine, ".store");
  machine.disk.flipBit(pathOf(second!), 8 * 100);
  const names = verifyLog(directoryOf(machine)).findings.map(({ file }) => file);
  assert.deepEqual(
    names.filter((name) => name.endsWith(".store")),
    [second],
  );
  repairLog(directoryOf(machine), true);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  const { default: kept, "a 1": ofA } = await valuesOf(machine);
  assert.deepEqual(ofA, (await valuesOf(await closed()))["a 1"]!.slice(0, ofA!.length));
  assert.ok(kept!.length < 12);
});

test("a checkpoint with another number of logs is found, refused by opening, and repaired", async () => {
  const machine = await closed();
  const expected = await valuesOf(machine);
  const key = machine.store.keys("log/checkpoint/").at(-1)!;
  const checkpoint = machine.store.get(key) as { logs: { size: number } };
  const logs = { ...checkpoint.logs, size: checkpoint.logs.size - 1 };
  machine.store.write({ [key]: { ...checkpoint, logs } });
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, [
    { file: "meta", position: 0, kind: "checkpoint" },
  ]);
  await assert.rejects(machine.open(settings), corrupt);
  repairLog(directoryOf(machine), true);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  assert.deepEqual(await valuesOf(machine), expected);
});

/** Loses all keys of the catalog. */
const loseCatalog = (machine: SimMachine): void =>
  machine.store.write(Object.fromEntries(machine.store.keys("log/").map((key) => [key, undefined])));

test("a lost catalog is rebuilt with the rows from the frames if the log begins with its first one", async () => {
  const machine = await closed();
  const expected = await valuesOf(machine);
  loseCatalog(machine);
  assert.ok(repairLog(directoryOf(machine), true).actions.some(({ action }) => action === "build-catalog"));
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  assert.deepEqual(await valuesOf(machine), expected);
  const log = await machine.open(settings);
  const { log: created } = await log.change({ kind: "create", name: "gone", settings: {} });
  assert.equal(created?.id, 4, "the id of a deleted log is not used again");
});

test("with a lost catalog and a log that begins later, repair refuses, names both ways and changes nothing", async () => {
  const machine = await closed({ trim: 8 });
  assert.ok(filesOf(machine, ".store")[0]! > "00000000000000000001.store");
  loseCatalog(machine);
  const files = machine.disk.list(`${simDirectory}/log`);
  for (const yes of [false, true]) {
    assert.throws(
      () => repairLog(directoryOf(machine), yes),
      (fault) =>
        fault instanceof Fault && fault.kind === "failed-precondition" && /backup.*join/.test(fault.message),
    );
  }
  assert.deepEqual(machine.disk.list(`${simDirectory}/log`), files);
  assert.deepEqual(machine.store.keys("log/"), []);
});

test("compare covers the records that named logs have in common", async () => {
  const sound = await closed();
  const compare = (...machines: SimMachine[]) => new Set(compareLogs(machines.map(directoryOf)).hashes).size;
  assert.equal(compare(sound, await closed({ trim: 8, seed: 2 }), await closed({ records: 14, seed: 3 })), 1);
  const odd = await closed({ odd: 9, seed: 4 });
  assert.equal(compare(sound, odd), 2);
  const { different, notEverywhere } = compareLogs([sound, odd].map(directoryOf));
  assert.deepEqual([different, notEverywhere], [[{ id: 3, name: "b" }], []]);
  assert.equal(compare(sound, await closed({ records: 14, odd: 12, seed: 5 })), 1, "beyond the common end");
});

test("repair says which named logs lose records, and how many, and which are gone", async () => {
  for (let segment = 0; ; segment++) {
    const machine = await closed({ records: 30 });
    const before = new Map([...verifyLog(directoryOf(machine)).logs].map((row) => [row.name, row]));
    const store = filesOf(machine, ".store")[segment];
    if (store === undefined) break;
    // Near the beginning of the file, or at its last frame.
    const { length } = machine.disk.contents(pathOf(store));
    machine.disk.flipBit(pathOf(store), 8 * (segment % 2 === 0 ? Math.min(100, length - 3) : length - 3));
    const plan = repairLog(directoryOf(machine), true);
    assert.ok(
      plan.actions.some(({ action }) => action === "cut"),
      store,
    );
    const after = new Map([...verifyLog(directoryOf(machine)).logs].map((row) => [row.name, row]));
    const expected = [...before.values()].flatMap(({ id, name, next }) => {
      const row = after.get(name);
      const records = next - (row?.next ?? 0);
      return row !== undefined && records === 0 ? [] : [{ id, name, records, isGone: row === undefined }];
    });
    const byId = (one: { readonly id: number }, other: { readonly id: number }): number => one.id - other.id;
    assert.deepEqual([...plan.lostLogs].sort(byId), expected.sort(byId), store);
    assert.equal(plan.next + plan.lost, 30);
  }
});

test("compare names a log that some directories lack", async () => {
  const machine = simMachine(9);
  const log = await machine.open(settings);
  for (let n = 0; n < 12; n++) await log.append(run(`default ${n}`));
  await log.close();
  const { notEverywhere } = compareLogs([await closed(), machine].map(directoryOf));
  assert.deepEqual(notEverywhere, [
    { id: 1, name: "a" },
    { id: 3, name: "b" },
  ]);
});
