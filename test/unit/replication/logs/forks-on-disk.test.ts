/** Forks, and logs that are kept for them: over removed segments, a new database, backups, a repair, and nodes that join. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { compareLogs, repairLog, type SegmentedLog, verifyLog } from "../../../../src/log/mod.ts";
import { backupParts, readSnapshot, restoreFrames, verifyBackup } from "../../../../src/replication/mod.ts";
import type { ReplicatedLog } from "../../../../src/replication/replicated-log.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { allValues, compact, run, simDirectory, simMachine, valuesOf } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

const settings = { segmentStoreBytesMax: 900 };

/**
 * Fills a log: the log "a", its fork "b" in the middle of a batch, the fork "c" of that with a part of a record, and the fork "d" of
 * "c". "a" and "b" are deleted, and kept for "c". The rows are in segments that are removed.
 */
async function fill(log: ReplicatedLog): Promise<void> {
  const { named, log: stored } = log;
  const fork = async (name: string, source: string, next: number, cut?: number): Promise<void> => {
    const { id } = stored.state.logs.named(source)!;
    const at = cut === undefined ? { next } : { next, cut };
    await named.change({ kind: "fork", name, settings: {}, source: { name: source, id }, at });
  };
  const append = (name: string, ...values: string[]) => log.append(run(...values), { log: { name } });
  await named.change({ kind: "create", name: "a", settings: {} });
  await fork("empty", "a", 0);
  for (let n = 0; n < 20; n++) await log.append(run(`default ${n}`));
  for (let n = 0; n < 8; n += 2) await append("a", `a${n}`, `a${n + 1}`);
  await fork("b", "a", 5);
  for (let n = 5; n < 8; n++) await append("b", `b${n}`);
  await append("a", "not shown");
  await fork("c", "b", 7, 1);
  await append("c", "c7");
  await fork("d", "c", 3);
  for (const name of ["a", "b"]) await named.change({ kind: "delete", log: { name } });
  await log.trim(20);
}

const expected: Readonly<Record<string, readonly string[]>> = {
  c: ["a0", "a1", "a2", "a3", "a4", "b5", "b", "c7"],
  d: ["a0", "a1", "a2"],
  empty: [],
};

/** The rows with the forks of each log. */
function rowsOf({ state }: SegmentedLog): readonly (readonly [string, boolean, number])[] {
  const { logs } = state;
  return [...logs.rows()].map(({ id, name, deleted }) => [name, deleted === true, logs.forksOf(id)] as const);
}

const expectedRows = [
  ["a", true, 2],
  ["empty", false, 0],
  ["b", true, 1],
  ["c", false, 1],
  ["d", false, 0],
];

/** The records of the forks, as the views of a log show them. */
function storedValues(log: SegmentedLog): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {};
  for (const { id, name, lowest, next, deleted } of log.state.logs.rows()) {
    if (deleted === true) continue;
    const values: string[] = [];
    found[name] = values;
    while (lowest + values.length < next) {
      const at = lowest + values.length;
      values.push(...valuesOf(log.view(id).read(at), at));
    }
  }
  return found;
}

async function checkForks(log: ReplicatedLog): Promise<void> {
  assert.deepEqual(rowsOf(log.log), expectedRows);
  for (const [name, values] of Object.entries(expected))
    assert.deepEqual(await allValues(log.named.open({ name })), values, name);
  const id = log.log.state.logs.named("c")!.id;
  await assert.rejects(
    log.trim(1, { log: { name: "c", id } }),
    (reason) => reason instanceof Fault && reason.facts.reason === "HAS_FORKS",
  );
}

test("forks and their hidden sources stay over the removal of segments, and in a database that is built again", async () => {
  const machine = simMachine("forks");
  let log = await machine.open(settings);
  await fill(log.replica.log);
  assert.ok((await compact(log.storedLog)) > 0);
  await checkForks(log.replica.log);
  await log.close();
  log = await machine.open(settings);
  await checkForks(log.replica.log);
  await log.close();
  const { findings, rows } = verifyLog(directoryOf(machine));
  assert.deepEqual([findings, rows?.differences ?? []], [[], []]);
  for (const generation of machine.rowStore.generations()) await machine.rowStore.remove(generation);
  log = await machine.open(settings);
  await checkForks(log.replica.log);
  await log.close();
});

test("a repair builds the rows of forks again, and cuts no source", async () => {
  const machine = simMachine("repaired forks");
  let log = await machine.open(settings);
  await fill(log.replica.log);
  assert.ok((await compact(log.storedLog)) > 0);
  await log.storedLog.rows.settled();
  await log.close();
  for (const generation of machine.rowStore.generations()) await machine.rowStore.remove(generation);
  repairLog(directoryOf(machine), true);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  log = await machine.open(settings);
  await checkForks(log.replica.log);
  await log.close();
});

test("a backup holds forks and their hidden sources, and a node that joins gets them with a snapshot", async () => {
  await using cluster = await MemoryCluster.open(1, settings);
  const node = await cluster.leader();
  const replica = node.replica!;
  await fill(replica.log);
  assert.ok((await compact(replica.storedLog)) > 0);
  const files = new Map<string, Uint8Array>();
  for (const part of backupParts(replica.storedLog, replica.state, [])) {
    if (part === undefined) continue;
    const { file, data } = part;
    files.set(file, Buffer.concat([files.get(file) ?? Buffer.alloc(0), data]));
  }
  const read = (file: string, position: number, bytes: number) =>
    files.get(file)!.subarray(position, position + bytes);
  const snapshot = readSnapshot(files.get("snapshot")!);
  const verified = await verifyBackup(snapshot, { size: (file) => files.get(file)?.length, read });
  assert.deepEqual(verified.findings, []);
  const machine = simMachine("restored forks");
  const restored = machine.openStored();
  await restoreFrames(restored, snapshot, { read });
  assert.deepEqual(rowsOf(restored), expectedRows);
  assert.deepEqual(storedValues(restored), expected);
  restored.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  const original = { directory: simDirectory, disk: node.disk, store: node.store };
  assert.equal(new Set(compareLogs([directoryOf(machine), original]).hashes).size, 1);
  const joiner = cluster.add("late").replica!;
  joiner.start();
  const { member } = joiner;
  await replica.node.proposeChange({
    transition: "auto",
    changes: [{ action: "learner", peer: member.peer }],
    members: [member],
  });
  await until(
    "the joiner has everything",
    () => joiner.storedLog.commitIndex >= replica.storedLog.commitIndex,
  );
  assert.ok(joiner.storedLog.firstIndex > 1, "it began with a snapshot");
  assert.deepEqual(rowsOf(joiner.storedLog), expectedRows);
  assert.deepEqual(storedValues(joiner.storedLog), expected);
});
