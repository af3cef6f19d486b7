/** The base file of a leader, fetched piece by piece by a follower that fails, resumes, is killed, or gets something else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { LogStart, SegmentedLog } from "../../../../src/log/mod.ts";
import type { AskForBase } from "../../../../src/log/rows/base-download.ts";
import { corrupt } from "../../../support/log/closed-log.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { compact, run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";

const pieceBytes = 1024 * 1024;
const logs = 9000;
const settings = { segmentStoreBytesMax: 1_000_000 };

/** The leader's log with a base file of several pieces, and the start that its snapshot has. */
let made: ReturnType<typeof create> | undefined;
const leader = (): ReturnType<typeof create> => (made ??= create());

async function create(): Promise<{ log: OneNodeLog; start: LogStart; bytes: number; content: Buffer }> {
  const machine = simMachine("leader");
  const log = await machine.open(settings);
  // Of 260 bytes each.
  for (let n = 0; n < logs; n++)
    await log.change({ kind: "create", name: `${n} ${"x".repeat(220)}`, settings: {} });
  await log.append(run("default"));
  await log.trim(1);
  await log.append(run("last"));
  assert.ok((await compact(log.storedLog)) > 0);
  const base = log.storedLog.rows.base!;
  assert.ok(base.bytes > 2 * pieceBytes);
  const file = log.storedLog.rows.openBase()!;
  const content = Buffer.alloc(base.bytes);
  file.read(content, 0);
  file.close();
  return { log, start: { ...startOf(log.storedLog), rows: base }, bytes: base.bytes, content };
}

const partsOf = (machine: SimMachine): string[] =>
  machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".part"));

/** Answers from the content, and notes the positions. */
const answering =
  (content: Buffer, asked: number[] = []): AskForBase =>
  async (_, position, bytes) => {
    asked.push(position);
    return content.subarray(position, position + bytes);
  };

async function install(log: SegmentedLog, start: LogStart): Promise<void> {
  log.rows.download.accepted(start);
  await log.rows.prepare(start);
  log.reset(start);
  await log.rows.settled();
}

test("a base file arrives piece by piece; after a failure the next attempt goes on where the last one ended", async () => {
  const { start, bytes, content } = await leader();
  const machine = simMachine("follower");
  const log = machine.openStored();
  const asked: number[] = [];
  const ask = answering(content, asked);
  let left = 2;
  const failing: AskForBase = async (...range) => {
    if (left-- === 0) throw new Fault("unavailable");
    return ask(...range);
  };
  await assert.rejects(log.rows.download.fetch(start, failing), (reason) => reason instanceof Fault);
  assert.equal(await log.rows.download.fetch(start, ask), true);
  assert.deepEqual(
    asked,
    Array.from({ length: Math.ceil(bytes / pieceBytes) }, (_, n) => n * pieceBytes),
  );
  await install(log, start);
  assert.equal(log.state.logs.size, logs);
  assert.deepEqual(partsOf(machine), []);
  machine.disk.kill();
  const again = machine.openStored();
  assert.equal(again.state.logs.named(`${logs - 1} ${"x".repeat(220)}`)?.id, logs);
  again.close();
});

test("a piece that is damaged, too short, or of another base is refused, and the next attempt begins again", async () => {
  const { start, content } = await leader();
  const damaged = Buffer.from(content);
  damaged[pieceBytes + 77]! ^= 1;
  const wrong: readonly AskForBase[] = [
    answering(damaged),
    async (_, position, bytes) => content.subarray(position, position + bytes - 1),
    async (_, position, bytes) => content.subarray(position, position + bytes + 1),
    async () => new Uint8Array(pieceBytes),
  ];
  for (const ask of wrong) {
    const log = simMachine("follower").openStored();
    await assert.rejects(log.rows.download.fetch(start, ask), corrupt);
    assert.equal(await log.rows.download.fetch(start, answering(content)), true);
    await install(log, start);
    assert.equal(log.state.logs.size, logs);
    log.close();
  }
});

test("a start whose file was not fetched is refused, and the log stays as it is", async () => {
  const { start } = await leader();
  const log = simMachine("follower").openStored();
  await assert.rejects(log.rows.prepare(start), corrupt);
  assert.equal(log.state.logs.size, 0);
  log.close();
});

test("a full disk or a failed sync ends an attempt; a later one succeeds", async () => {
  const { start, content } = await leader();
  for (const failure of ["full", "sync"] as const) {
    const machine = simMachine(failure);
    const log = machine.openStored();
    if (failure === "full") machine.disk.capacityBytes = pieceBytes;
    else machine.disk.faults.syncFails = 1;
    await assert.rejects(log.rows.download.fetch(start, answering(content)));
    machine.disk.capacityBytes = Number.POSITIVE_INFINITY;
    assert.equal(await log.rows.download.fetch(start, answering(content)), true);
    await install(log, start);
    assert.equal(log.state.logs.size, logs);
    log.close();
  }
});

/** Another base file of a leader, which a follower can have as well. */
async function anotherLeader(): Promise<{ start: LogStart; content: Buffer }> {
  const log = await simMachine("another leader").open({ segmentStoreBytesMax: 900 });
  for (let n = 0; n < 20; n++) await log.change({ kind: "create", name: `other ${n}`, settings: {} });
  await log.append(run("default"));
  await log.trim(1);
  await log.append(run("last"));
  assert.ok((await compact(log.storedLog)) > 0);
  const base = log.storedLog.rows.base!;
  const file = log.storedLog.rows.openBase()!;
  const content = Buffer.alloc(base.bytes);
  file.read(content, 0);
  file.close();
  return { start: { ...startOf(log.storedLog), rows: base }, content };
}

test("one file is fetched at a time, and one that is whole is held until the log was reset to its start", async () => {
  const { start, content } = await leader();
  const other = await anotherLeader();
  const machine = simMachine("follower");
  const log = machine.openStored();
  const { download } = log.rows;
  const never: AskForBase = () => assert.fail("nothing more is asked for");
  const first = download.fetch(start, answering(content));
  assert.equal(await download.fetch(start, never), false);
  assert.equal(await first, true);
  assert.equal(await download.fetch(other.start, never), false);
  assert.equal(await download.fetch(start, never), true, "the same snapshot arrives again");
  download.accepted(start);
  machine.clock.advance(3_600_000);
  assert.equal(await download.fetch(other.start, never), false, "an hour later");
  assert.equal(await download.fetch(start, never), true);
  download.released(start);
  assert.equal(await download.fetch(other.start, never), false, "Raft has the snapshot already");
  await log.rows.prepare(start);
  assert.equal(await download.fetch(start, never), true, "it arrives again while it is installed");
  assert.equal(await download.fetch(other.start, never), false);
  log.reset(start);
  await log.rows.settled();
  assert.equal(log.state.logs.size, logs);
  assert.equal(await download.fetch(other.start, answering(other.content)), true);
  log.close();
});

test("a file of a snapshot that Raft did not accept makes room for another one", async () => {
  const { start, content } = await leader();
  const other = await anotherLeader();
  const log = simMachine("follower").openStored();
  const { download } = log.rows;
  assert.equal(await download.fetch(start, answering(content)), true);
  download.released(start);
  assert.equal(await download.fetch(other.start, answering(other.content)), true);
  await install(log, other.start);
  assert.equal(log.state.logs.size, 20);
  log.close();
});

test("an accepted file is held while an earlier snapshot without one is installed", async () => {
  const { start, content } = await leader();
  const other = await anotherLeader();
  const log = simMachine("follower").openStored();
  const { download } = log.rows;
  assert.equal(await download.fetch(start, answering(content)), true);
  download.accepted(start);
  const { rows: _, ...without } = start;
  const { logs: __, ...checkpoint } = without.checkpoint;
  log.reset({ end: { ...without.end, index: start.end.index - 1 }, checkpoint });
  assert.equal(await download.fetch(other.start, answering(other.content)), false);
  await log.rows.prepare(start);
  log.reset(start);
  await log.rows.settled();
  assert.equal(log.state.logs.size, logs);
  log.close();
});

test("a full disk delays the reset: the accepted file outlives other snapshots and removals of segments", async () => {
  const { start, content } = await leader();
  const other = await anotherLeader();
  const machine = simMachine("delayed");
  const log = await machine.open({ segmentStoreBytesMax: 900 });
  for (let n = 0; n < 12; n++) await log.change({ kind: "create", name: `own ${n}`, settings: {} });
  await log.append(run("default"));
  await log.trim(1);
  await log.append(run("last"));
  const { storedLog } = log;
  await storedLog.rows.settled();
  const { download } = storedLog.rows;
  assert.equal(await download.fetch(start, answering(content)), true);
  download.accepted(start);
  machine.rowStore.failNext = Object.assign(new Error("full"), { code: "ENOSPC" });
  await assert.rejects(storedLog.rows.prepare(start), { code: "ENOSPC" });
  machine.clock.advance(3_600_000);
  assert.equal(await download.fetch(other.start, answering(other.content)), false);
  assert.ok((await compact(storedLog)) > 0);
  await storedLog.rows.prepare(start);
  storedLog.reset(start);
  await storedLog.rows.settled();
  assert.equal(storedLog.state.logs.size, logs);
});

test("a file with another index than the snapshot says is refused when it arrives", async () => {
  const { start, content } = await leader();
  const log = simMachine("follower").openStored();
  const rows = { ...(start.rows as { index: number; bytes: number }), index: start.end.index - 1 };
  await assert.rejects(log.rows.download.fetch({ ...start, rows }, answering(content)), corrupt);
  assert.equal(await log.rows.download.fetch(start, answering(content)), true);
  log.close();
});

test("a later snapshot with the same base file is installed, too", async () => {
  const { start, content } = await leader();
  const log = simMachine("follower").openStored();
  for (let time = 0; time < 2; time++) {
    assert.equal(await log.rows.download.fetch(start, answering(content)), true);
    await install(log, start);
    assert.equal(log.state.logs.size, logs);
  }
  log.close();
});

test("a reset that a full disk refuses is prepared again and repeated", async () => {
  const { start, content } = await leader();
  const machine = simMachine("refused reset");
  const log = machine.openStored();
  assert.equal(await log.rows.download.fetch(start, answering(content)), true);
  log.rows.download.accepted(start);
  await log.rows.prepare(start);
  const { store } = machine;
  const write = store.write.bind(store);
  store.write = () => {
    throw Object.assign(new Error("full"), { code: "ENOSPC" });
  };
  assert.throws(() => log.reset(start), { kind: "disk-full" });
  store.write = write;
  await install(log, start);
  assert.equal(log.state.logs.size, logs);
  log.close();
});

test("a full disk while the database is completed ends an attempt; a later one succeeds", async () => {
  const { start, content } = await leader();
  const machine = simMachine("follower");
  const log = machine.openStored();
  const { rowStore } = machine;
  const build = rowStore.build.bind(rowStore);
  let attempts = 0;
  rowStore.build = async (...args) => {
    const database = await build(...args);
    if (attempts++ === 0) rowStore.failNext = Object.assign(new Error("full"), { code: "ENOSPC" });
    return database;
  };
  assert.equal(await log.rows.download.fetch(start, answering(content)), true);
  await assert.rejects(log.rows.prepare(start), { code: "ENOSPC" });
  await install(log, start);
  assert.deepEqual([attempts, log.state.logs.size], [2, logs]);
  log.close();
});

test("a kill at each step of the arrival and the installation leaves the log before or the log of the snapshot", async () => {
  const { start, content } = await leader();
  let [before, after] = [0, 0];
  for (let step = 1; ; step++) {
    const machine = simMachine(`kill ${step}`);
    const log = await machine.open(settings);
    await log.append(run("own"));
    machine.disk.crashAfter(step);
    let isDone = false;
    try {
      await log.storedLog.rows.download.fetch(start, answering(content));
      await install(log.storedLog, start);
      isDone = true;
    } catch {
      // The power went.
    }
    machine.disk.crash();
    const again = machine.openStored();
    if (again.state.logs.size === logs) after++;
    else {
      assert.equal(again.state.logs.size, 0);
      assert.equal(again.end.nextOffset, 1);
      before++;
    }
    assert.deepEqual(partsOf(machine), []);
    again.close();
    if (isDone) break;
  }
  assert.ok(before > 5 && after > 0, `${before} before, ${after} after`);
});
