import assert from "node:assert/strict";
import { test } from "node:test";
import { type Acquaintance, clusterViewOf } from "../../../../src/agent/cluster/cluster-view.ts";
import { extentAt, ToldExtents } from "../../../../src/agent/cluster/leader-progress-cache.ts";
import type { ClusterChange } from "../../../../src/types.ts";
import { run, StillClock } from "../../../support/logs.ts";
import { MemoryCluster, type MemoryNode, until } from "../../../support/replicas.ts";

const known: Acquaintance = { version: "9", lastContactMs: 3, alive: true };
const viewOf = (node: MemoryNode, told?: ReturnType<typeof extentAt>) =>
  clusterViewOf({
    replica: node.replica!,
    clusterId: () => "c",
    rpcAddr: `${node.name}:1`,
    version: "9",
    acquaintance: () => known,
    told: () => told,
  });

test("the leader's view tells how far everybody is, a follower's what it was told", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [away, follower] = cluster.followers(leader) as [MemoryNode, MemoryNode];
  const { log } = leader.replica!;
  await log.append(run("a", "b"));
  const all = () => leader.replica!.node.status().progress!;
  const { lastIndex } = leader.replica!.node;
  await until("all have it", () => [...all().values()].every(({ match }) => match >= lastIndex));
  cluster.isolate(away.name);
  await log.append(run("c", "d", "e"));
  await until("the follower has it", () => follower.replica!.storedLog.bounds.next === 5);
  const nodes = new Map(
    viewOf(leader)
      .nodes()
      .map((node) => [node.id, node]),
  );
  assert.equal(nodes.size, 3);
  const own = nodes.get(leader.name)!;
  assert.deepEqual([own.role, own.isLeader, own.lastOffset, own.lag], ["leader", true, 4, 0]);
  const behind = nodes.get(away.name)!;
  assert.deepEqual([behind.role, behind.lastOffset, behind.lag, behind.version], ["follower", 1, 3, "9"]);

  const told = extentAt(leader.replica!.storedLog, lastIndex);
  assert.deepEqual([told.lastOffset, told.lag], [1, 3]);
  const view = viewOf(follower, told);
  assert.deepEqual([view.leaderId, view.hasQuorum, view.clusterId], [leader.name, true, "c"]);
  const seen = view.nodes().find(({ id }) => id === away.name)!;
  assert.deepEqual([seen.lag, seen.lastContactMs, seen.healthy], [3, 3, true]);
  assert.equal(view.nodes().find(({ isLeader }) => isLeader)?.id, leader.name);
});

test("who wants it fresh waits for the leader's answer, and not for a leader that is silent", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader) as [MemoryNode];
  await until("it knows its leader", () => follower.replica!.node.leader !== undefined);
  const clock = new StillClock();
  let asked = 0;
  let answer: Promise<unknown> = Promise.resolve(
    new ToldExtents({ replica: leader.replica!, ask, clock }).own(),
  );
  function ask(): Promise<unknown> {
    asked++;
    return answer;
  }
  const extents = new ToldExtents({ replica: follower.replica!, ask, clock });
  await extents.fresh();
  assert.equal(extents.of(leader.name)?.lag, 0);
  await extents.fresh();
  assert.equal(asked, 1, "within a second it is fresh enough");
  clock.advance(2_000);
  answer = new Promise(() => {});
  const waited = extents.fresh();
  clock.advance(300);
  await waited;
  assert.equal(asked, 2);
  assert.equal(extents.of(leader.name)?.lag, 0, "what was told before stays");
});

test("a change of leader is told as an election, and a node that was not started is a learner of nothing", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader) as [MemoryNode];
  const changes: ClusterChange[] = [];
  const stop = viewOf(follower).onChange((change) => changes.push(change));
  leader.replica!.node.transferLeadership(follower.replica!.identity.peer);
  await until("it is told", () => changes.some(({ change }) => change === "elected"));
  assert.equal(changes.find(({ change }) => change === "elected")?.name, follower.name);
  stop();
  const idle = viewOf(cluster.add("idle"));
  assert.deepEqual([idle.term, idle.leaderId, idle.hasQuorum], [0, undefined, false]);
  assert.deepEqual(
    idle.nodes().map(({ id, role }) => [id, role]),
    [["idle", "learner"]],
  );
});
