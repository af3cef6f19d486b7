/** The snapshot of a log with many producers, which goes on while the snapshot is packed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SegmentedLog } from "../../../../src/log/mod.ts";
import { startIn } from "../../../../src/replication/snapshot/packed-start.ts";
import { SnapshotData } from "../../../../src/replication/snapshot/snapshot-data.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { compact, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import { appendTo, fileOfStart, startAt, withManyProducers } from "../../../support/log/many-producers.ts";

const index = 20_000;

/** A log whose producers are packed in several turns: each look at the clock takes 4 ms. */
async function packing(options = withManyProducers) {
  const machine = simMachine("packing");
  const log = machine.openStored(options);
  await log.rows.prepare(startAt(index, 9000));
  log.reset(startAt(index, 9000));
  appendTo(log);
  const clock = {
    wallMs: machine.clock.wallMs,
    monotonicMs: () => (machine.clock.nowMs += 4),
    soon: (callback: () => void) => void setImmediate(callback),
    after: (delayMs: number, callback: () => void) => machine.clock.after(delayMs, callback),
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { machine, log, snapshot: new SnapshotData(log, clock), turn };
}

/** Takes the data, and appends in each turn until it is there. */
async function taken({ log, snapshot, turn }: Awaited<ReturnType<typeof packing>>) {
  for (let turns = 0; turns < 100; turns++) {
    const data = snapshot.take();
    if (data !== undefined) return { data, turns };
    appendTo(log);
    await turn();
  }
  throw new Error("there is no snapshot");
}

async function beginLater(log: SegmentedLog): Promise<void> {
  for (let n = 0; n < 200 && log.before.index === index; n++) {
    appendTo(log, { trims: true, bytes: 40_000 });
    await log.rows.settled();
    await compact(log);
  }
  assert.ok(log.before.index > index, "the log begins later");
}

test("a snapshot with many producers is packed in turns, and is that of the start while appends go on", async () => {
  const world = await packing();
  const { log, snapshot } = world;
  const { data, turns } = await taken(world);
  assert.ok(turns > 1, "several turns");
  assert.deepEqual(startIn(data), startOf(log));
  assert.deepEqual(startIn(data).checkpoint.producers, startAt(index, 9000).checkpoint.producers);
  assert.equal(snapshot.take(), data, "it is packed once");
  await snapshot.close();
  log.close();
});

test("a log that begins later gets a snapshot of the later start, whether the earlier one is packed or not", async () => {
  for (const isPacked of [false, true]) {
    const world = await packing();
    const { log, snapshot, turn } = world;
    if (isPacked) await taken(world);
    else {
      assert.equal(snapshot.take(), undefined);
      await turn();
    }
    await beginLater(log);
    const start = startIn((await taken(world)).data);
    assert.equal(start.end.index, log.before.index);
    assert.deepEqual(start, startOf(log));
    await snapshot.close();
    log.close();
  }
});

test("the data is dropped a minute after it was last taken", async () => {
  const world = await packing();
  const { log, snapshot, machine } = world;
  const { data } = await taken(world);
  machine.clock.advance(50_000);
  assert.equal(snapshot.take(), data);
  machine.clock.advance(50_000);
  assert.equal(snapshot.take(), data);
  machine.clock.advance(61_000);
  assert.notEqual(snapshot.take(), data);
  await snapshot.close();
  log.close();
});

const damage = ({ disk }: SimMachine): void =>
  disk.flipBit(`${simDirectory}/log/${fileOfStart({ disk })[0]}`, 777);

test("damage that is found while the data is packed is thrown once, and then it is tried again", async () => {
  const world = await packing();
  const { log, snapshot, machine } = world;
  damage(machine);
  await assert.rejects(taken(world), { kind: "corrupt" });
  damage(machine);
  assert.deepEqual(startIn((await taken(world)).data), startOf(log));
  await snapshot.close();
  log.close();
});

test("close ends the packing, and few producers are packed at once", async () => {
  const many = await packing();
  assert.equal(many.snapshot.take(), undefined);
  await many.snapshot.close();
  assert.equal(many.snapshot.take(), undefined);
  many.log.close();
  const few = await packing({ inlineProducersMax: 9001 });
  assert.deepEqual(startIn(few.snapshot.take()!), startOf(few.log));
  few.log.close();
});
