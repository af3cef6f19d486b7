/** What a member does whose stored bytes are damaged: nobody is given them, and the others go on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allValues, run } from "../../support/logs.ts";
import { MemoryCluster, until } from "../../support/replicas.ts";

test("a leader that is asked for what is damaged hands over, and whoever lacked it gets it from another", async () => {
  // Nothing is kept in memory: what a follower lacks is read from the disk.
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 }, { recentBytesMax: 1 });
  const leader = await cluster.leader();
  const [late, other] = cluster.followers(leader) as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]];
  await leader.replica!.log.append(run("a"));
  await until("the late one has the first", () => late.replica!.storedLog.bounds.next === 1);
  await cluster.crash(late);
  const values = Array.from({ length: 40 }, (_, n) => `v${n}`);
  for (const value of values) await leader.replica!.log.append(run(value));
  await until("the other has them all", () => other.replica!.storedLog.bounds.next === 41);
  leader.disk.flipBit(leader.replica!.storedLog.sealed[2]!.path, 800);
  cluster.reopen(late).start();
  await until("the late one has them all", () => late.replica!.storedLog.bounds.next === 41);
  assert.deepEqual(await allValues(late.replica!.log), ["a", ...values]);
  assert.ok(!leader.replica!.node.isLeader);
  assert.equal(leader.replica!.storedLog.damagedSegments, 1);
  const next = [late, other].find(({ replica }) => replica!.node.isLeader);
  assert.equal((await next!.replica!.log.append(run("more"))).firstOffset, 41);
  await until("it follows", () => leader.replica!.storedLog.bounds.next === 42);
});
