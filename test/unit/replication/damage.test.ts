/** A member with damaged stored bytes: they are never sent or served, and the other members keep running. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { repairLog } from "../../../src/log/mod.ts";
import { newLifeChanges } from "../../../src/replication/mod.ts";
import { allValues, run } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";
import { until } from "../../support/until.ts";

test("a leader with a damaged segment transfers leadership, and a follower that lacks the segment gets it from the new leader", async () => {
  // Without a frame cache, the entries that a follower lacks are read from the disk.
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 }, { frameCacheBytesMax: 1 });
  const leader = await cluster.leader();
  const [late, other] = cluster.followers(leader) as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]];
  await leader.replica!.log.append(run("a"));
  await until("the late follower has the first record", () => late.replica!.storedLog.bounds.next === 1);
  await cluster.crash(late);
  const values = Array.from({ length: 40 }, (_, n) => `v${n}`);
  for (const value of values) await leader.replica!.log.append(run(value));
  await until("the other follower has all records", () => other.replica!.storedLog.bounds.next === 41);
  leader.disk.flipBit(leader.replica!.storedLog.sealed[2]!.path, 800);
  cluster.reopen(late).start();
  await until("the late follower has all records", () => late.replica!.storedLog.bounds.next === 41);
  assert.deepEqual(await allValues(late.replica!.log), ["a", ...values]);
  assert.ok(!leader.replica!.node.isLeader);
  assert.equal(leader.replica!.storedLog.damagedSegments, 1);
  const next = [late, other].find(({ replica }) => replica!.node.isLeader);
  assert.equal((await next!.replica!.log.append(run("more"))).firstOffset, 41);
  await until("the old leader follows", () => leader.replica!.storedLog.bounds.next === 42);
});

test("a leader with a damaged base file: it says so and transfers leadership, and a follower gets the snapshot of the new leader", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500, retentionBytes: 500 });
  const leader = await cluster.leader();
  const [late, other] = cluster.followers(leader) as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]];
  await cluster.crash(late);
  const { log, storedLog } = leader.replica!;
  for (let n = 0; n < 30; n++) await log.named.change({ kind: "create", name: `log ${n}`, settings: {} });
  for (let n = 0; n < 30; n++) await log.append(run(`v${n}`));
  await until("both have a base file", () =>
    [leader, other].every(({ replica }) => replica!.storedLog.rows.base !== undefined),
  );
  await storedLog.rows.settled();
  const { path } = damageBase(leader);
  cluster.reopen(late).start();
  const end = other.replica!.storedLog.end.index;
  await until("the late follower has all logs", () => late.replica!.storedLog.commitIndex >= end);
  assert.equal([...late.replica!.storedLog.state.logs.rows()].length, 30);
  assert.ok(!leader.replica!.node.isLeader);
  assert.match(storedLog.damage?.message ?? "", /\.rows is damaged at byte/);
  assert.equal(storedLog.damage?.facts["file"], path.split("/").at(-1));
});

test("one of two members rejoins after a repair while the other still leads and counts on the truncated entries", async () => {
  await using cluster = await MemoryCluster.open(2, { segmentStoreBytesMax: 500 });
  const leader = await cluster.leader();
  const [hurt] = cluster.followers(leader) as [(typeof cluster.nodes)[0]];
  const values = Array.from({ length: 40 }, (_, n) => `v${n}`);
  for (const value of values) await leader.replica!.log.append(run(value));
  await until("both have all records", () => hurt.replica!.storedLog.bounds.next === 40);
  const { path } = hurt.replica!.storedLog.sealed[2]!;
  await cluster.crash(hurt);
  hurt.disk.flipBit(path, 800);
  const place = { directory: "/data", disk: hurt.disk, store: hurt.store };
  const { lost } = repairLog(place, true, { unchanged: newLifeChanges(hurt.store) });
  assert.ok(lost > 0);
  // Restarted at once: within its election timeout the leader has not noticed the failure.
  cluster.reopen(hurt).start();
  await until("the repaired member has all records", () => hurt.replica!.storedLog.bounds.next === 40);
  assert.deepEqual(await allValues(hurt.replica!.log), values);
  assert.equal((await (await cluster.leader()).replica!.log.append(run("more"))).firstOffset, 40);
});

/** Flips a bit in the rows of the base file. */
function damageBase({ disk, replica }: MemoryCluster["nodes"][0]): { readonly path: string } {
  const base = replica!.storedLog.rows.openBase()!;
  const { path } = base;
  disk.flipBit(path, 8 * Math.floor(base.size() / 2));
  base.close();
  return { path };
}
