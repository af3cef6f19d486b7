/**
 * Shows that the replicated log lacks the defects of the log in *Distributed Services with Go* (test/DEFECTS.md lists them).
 * The tests use whole replicas on simulated disks that lose unsynced data in a crash.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { frameHeader } from "../../../src/log/mod.ts";
import { allValues, run } from "../../support/log/logs.ts";
import { MemoryCluster, type MemoryNode } from "../../support/raft/replicas.ts";
import { until } from "../../support/until.ts";

const names = (count: number, prefix = "r"): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`);

async function appendAll(node: MemoryNode, values: readonly string[]): Promise<void> {
  await Promise.all(values.map((value) => node.replica!.log.append(run(value))));
}

/** Restarts a node on its disk after a crash. */
function restart(cluster: MemoryCluster, node: MemoryNode): void {
  cluster.reopen(node).start();
}

const has = (node: MemoryNode, count: number): Promise<boolean> =>
  until(`${node.name} has ${count} records`, () => node.replica!.storedLog.bounds.next === count);

test("no fsync: acknowledged records survive a power failure of all nodes at once", async () => {
  await using cluster = await MemoryCluster.open(3);
  await appendAll(await cluster.leader(), names(200));
  for (const { disk } of cluster.nodes) disk.odds = { keep: 0, tear: 0 };
  for (const node of cluster.nodes) await cluster.crash(node);
  for (const node of cluster.nodes) restart(cluster, node);
  const leader = await cluster.leader();
  assert.deepEqual(await allValues(leader.replica!.log), names(200));
});

test("records duplicate after each restart: each record is in the log once, however often a node restarts", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 });
  await appendAll(await cluster.leader(), names(50));
  for (let times = 0; times < 3; times++) {
    for (const node of cluster.nodes) {
      await cluster.crash(node);
      restart(cluster, node);
      await has(node, 50);
    }
  }
  // One more record after everything that a new leader may have appended.
  await appendAll(await cluster.leader(), ["end"]);
  for (const { name, replica } of cluster.nodes) {
    await until(`${name} has the end`, () => replica!.storedLog.bounds.next > 50);
    assert.deepEqual(await allValues(replica!.log), [...names(50), "end"]);
  }
});

test("a suffix conflict deletes the whole log: only the conflicting entries are replaced", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 });
  const old = await cluster.leader();
  await appendAll(old, names(40));
  cluster.isolate(old.name);
  const lost = old
    .replica!.log.append(run("never"), { deadlineMs: performance.now() + 200 })
    .catch(Fault.from);
  const next = await cluster.leader();
  await appendAll(next, names(40, "s"));
  cluster.heal();
  await has(old, 80);
  assert.ok((await lost) instanceof Fault);
  assert.deepEqual(await allValues(old.replica!.log), [...names(40), ...names(40, "s")]);
});

test("the log ignores the Raft index: every frame is at the index in its header, on every node", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 });
  for (let term = 0; term < 3; term++) {
    const leader = await cluster.leader();
    await appendAll(leader, names(10, `t${term}-`));
    await cluster.crash(leader); // a new term adds an entry without records
    await cluster.leader();
    restart(cluster, leader);
  }
  const leader = await cluster.leader();
  await appendAll(leader, ["last"]);
  for (const node of cluster.nodes) {
    await has(node, 31);
    const log = node.replica!.storedLog;
    const indexes = log.entries(log.firstIndex, 1 << 20).map((frame) => frameHeader(frame, 0).index);
    assert.deepEqual(
      indexes,
      indexes.map((_, n) => log.firstIndex + n),
    );
    assert.notEqual(log.commitIndex, log.bounds.next, "the entries of new terms have no offsets");
  }
});

test("snapshots run past their index: a follower restored from a snapshot during appends has each record once", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 });
  const leader = await cluster.leader();
  await appendAll(leader, names(60));
  const late = cluster.followers(leader)[0]!;
  await has(late, 60);
  await cluster.crash(late);
  for (const value of names(60, "s")) await appendAll(leader, [value]); // one by one, for enough segments
  await leader.replica!.log.trim(100);
  const { storedLog } = leader.replica!;
  await until("the entries that the follower lacks are deleted", () => storedLog.before.nextOffset > 60);
  const more = Array.from({ length: 60 }, (_, n) => leader.replica!.log.append(run(`m${n}`)));
  restart(cluster, late);
  await Promise.all(more);
  await has(late, 180);
  assert.ok((cluster.sent.get("snapshot") ?? 0) > 0, "a snapshot was sent");
  const expected = [...names(60), ...names(60, "s"), ...names(60, "m")];
  assert.equal(late.replica!.storedLog.bounds.lowest, 100);
  assert.deepEqual(await allValues(late.replica!.log), expected.slice(100));
});

test("stale reads: a deposed leader does not report that a record does not exist", async () => {
  await using cluster = await MemoryCluster.open(3);
  const old = await cluster.leader();
  await appendAll(old, names(5));
  cluster.isolate(old.name);
  const next = await cluster.leader();
  await appendAll(next, names(5, "s"));
  const deadlineMs = performance.now() + 300;
  for (const mode of ["linearizable", "session"] as const) {
    const fault = await old.replica!.log.read(7, { mode, deadlineMs }).catch(Fault.from);
    assert.ok(fault instanceof Fault && fault.kind !== "out-of-range", mode);
  }
});

test("not-leader is an unknown error: the fault names the leader and says that nothing was written", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  await appendAll(leader, names(1));
  const follower = cluster.followers(leader)[0]!;
  await until("the follower knows the leader", () => follower.replica!.node.leader?.name === leader.name);
  const fault = await follower.replica!.log.append(run("x"), { forward: false }).catch(Fault.from);
  assert.ok(fault instanceof Fault);
  assert.deepEqual([fault.kind, fault.written, fault.facts["leader"]], ["not-leader", "no", leader.name]);
});

test("stream produce goes one record at a time: concurrent appends are written and sent in groups", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  await appendAll(leader, names(1));
  cluster.sent.clear();
  const before = leader.replica!.storedLog.commitIndex;
  await appendAll(leader, names(1000));
  const { commitIndex } = leader.replica!.storedLog;
  assert.ok(commitIndex - before < 50, `${commitIndex - before} entries for 1000 records`);
  assert.ok((cluster.sent.get("append") ?? 0) < 200, `${cluster.sent.get("append")} messages`);
});
