/** Checkpoints of many producers: they are written after the segment began, and are used by the next start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { defaultSettings, verifyLog } from "../../../../src/log/mod.ts";
import type { LogState } from "../../../../src/log/state/log-state.ts";
import { ProducerTable } from "../../../../src/log/state/producer-table.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { compact, run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";

const settings = { segmentStoreBytesMax: 600 };
const options = { inlineProducersMax: 2 };

/** Appends batches of this many producers. */
async function appendAll(log: OneNodeLog, producers: number, sequence = 0): Promise<void> {
  for (let id = 0; id < producers; id++)
    await log.append(run(`value ${id} of ${sequence}`), {
      producer: { subject: "s", id: BigInt(id), epoch: 0, sequence },
    });
  await log.storedLog.rows.settled();
}

const filesIn = ({ disk }: SimMachine): string[] =>
  disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".producers"));
const producersIn = ({ producers }: LogState): unknown => producers.rows();

/** What the catalog holds as the producers of each checkpoint, in order. */
const stored = ({ store }: SimMachine): unknown[] =>
  store.keys("log/checkpoint/").map((key) => (store.get(key) as { readonly producers: unknown }).producers);

test("a segment begins without the producers, a file gets them, and the next start uses it", async () => {
  const machine = simMachine(1);
  const log = await machine.open(settings, options);
  await appendAll(log, 8);
  await appendAll(log, 8, 1);
  const expected = producersIn(log.storedLog.state);
  assert.ok(filesIn(machine).length >= 2, "files were written");
  assert.ok(stored(machine).every((producers) => producers !== null));
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  const again = await machine.open(settings, options);
  assert.deepEqual(producersIn(again.storedLog.state), expected);
  const at = { subject: "s", id: 3n, epoch: 0, sequence: 1 };
  assert.equal((await again.append(run("value 3 of 1"), { producer: at })).duplicate, true);
  await again.close();
});

test("a start without the file of a checkpoint folds from an earlier one", async () => {
  const machine = simMachine(2);
  const log = await machine.open(settings, options);
  await appendAll(log, 8);
  await appendAll(log, 8, 1);
  const expected = producersIn(log.storedLog.state);
  await log.close();
  for (const name of filesIn(machine)) machine.disk.flipBit(`${simDirectory}/log/${name}`, 77);
  const kinds = verifyLog(directoryOf(machine)).findings.map(({ kind }) => kind);
  assert.deepEqual([...new Set(kinds)], ["producers"]);
  const again = await machine.open(settings, options);
  assert.deepEqual(producersIn(again.storedLog.state), expected);
  await again.close();
});

test("a log does not begin with a segment that lacks its producers, and does once it has them", async () => {
  const machine = simMachine(3);
  const disk = new RefusingDisk(machine.disk);
  const log = await machine.open(settings, { ...options, disk });
  disk.refuse = (_, path) => (path.includes(".producers") ? "ENOSPC" : undefined);
  await appendAll(log, 20);
  assert.equal(log.storedLog.failure, undefined);
  assert.ok(disk.refused.length > 0);
  assert.deepEqual(filesIn(machine), []);
  await log.trim((await log.bounds()).next);
  const before = log.storedLog.firstIndex;
  await compact(log.storedLog);
  const { first } = log.storedLog.segments[0]!;
  assert.ok(first <= 8, `the log begins at ${first}, where its producers are known`);
  const expected = producersIn(log.storedLog.state);
  const again = await machine.open(settings, options);
  assert.deepEqual(producersIn(again.storedLog.state), expected);
  // The next segment gets its producers, and the log may begin there.
  await appendAll(again, 20, 1);
  await again.trim((await again.bounds()).next);
  await compact(again.storedLog);
  assert.ok(again.storedLog.firstIndex > before);
  const { checkpoint } = startOf(again.storedLog);
  assert.ok(checkpoint.producers.length >= 8, "the start of the log has its producers");
  await again.close();
});

test("a file that could not be written is written later", async () => {
  const machine = simMachine(4);
  const disk = new RefusingDisk(machine.disk);
  const log = await machine.open(settings, { ...options, disk });
  let left = 1;
  disk.refuse = (operation, path) =>
    operation === "rename" && path.includes(".producers") && left-- > 0 ? "EIO" : undefined;
  for (let id = 0; stored(machine).at(-1) !== null; id++)
    await log.append(run(`value ${id}`), {
      producer: { subject: "s", id: BigInt(id), epoch: 0, sequence: 0 },
    });
  await log.append(run("the boundary is committed"));
  await log.storedLog.rows.settled();
  assert.equal(disk.refused.length, 1);
  machine.clock.advance(2000);
  await log.storedLog.rows.settled();
  assert.notEqual(stored(machine).at(-1), null);
  assert.equal(log.storedLog.failure, undefined);
  await log.close();
});

test("a failed sync of the file fails the log: the state of the disk is unknown", async () => {
  const machine = simMachine(5);
  const disk = new RefusingDisk(machine.disk);
  const log = await machine.open(settings, { ...options, disk });
  disk.refuse = (operation, path) =>
    operation === "sync" && path.includes(".producers") ? "EIO" : undefined;
  await appendAll(log, 20).catch(() => undefined);
  await log.storedLog.rows.settled();
  assert.ok(log.storedLog.failure instanceof Fault);
});

test("producers that change later do not change what was frozen", () => {
  const batch = (index: number, sequence: number) =>
    ({ index, sequence, count: 1, firstOffset: index, timestampMs: 0 }) as const;
  const table = new ProducerTable();
  table.stage({ subject: "s", id: 1n, epoch: 0, sequence: 0 }, batch(1, 0));
  table.commitTo(1, defaultSettings);
  const frozen = table.freeze();
  table.stage({ subject: "s", id: 1n, epoch: 0, sequence: 1 }, batch(2, 1));
  table.commitTo(2, defaultSettings);
  assert.deepEqual(
    frozen.producers.map(({ batches }) => batches.length),
    [1],
  );
});
