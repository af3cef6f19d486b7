import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterViewOf, type PeerContact } from "../../../../src/agent/cluster/cluster-view.ts";
import { LeaderProgressCache } from "../../../../src/agent/cluster/leader-progress-cache.ts";
import { progressAt } from "../../../../src/agent/cluster/log-progress.ts";
import type { ClusterChange } from "../../../../src/api/cluster-view.ts";
import { Fault } from "../../../../src/fault.ts";
import { run, StillClock } from "../../../support/log/logs.ts";
import { MemoryCluster, type MemoryNode } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

const known: PeerContact = { version: "9", lastContactMs: 3, alive: true };
const viewOf = (node: MemoryNode, progress?: ReturnType<typeof progressAt>) =>
  clusterViewOf({
    replica: node.replica!,
    clusterId: () => "c",
    rpcAddr: `${node.name}:1`,
    version: "9",
    contact: () => known,
    progress: () => progress,
  });

test("the leader's view has the progress of all members, a follower's the progress that the leader reported", async () => {
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

  const reported = progressAt(leader.replica!.storedLog, lastIndex);
  assert.deepEqual([reported.lastOffset, reported.lag], [1, 3]);
  const view = viewOf(follower, reported);
  assert.deepEqual([view.leaderId, view.hasQuorum, view.clusterId], [leader.name, true, "c"]);
  const seen = view.nodes().find(({ id }) => id === away.name)!;
  assert.deepEqual([seen.lag, seen.lastContactMs, seen.healthy], [3, 3, true]);
  assert.equal(view.nodes().find(({ isLeader }) => isLeader)?.id, leader.name);
});

test("fresh() waits for the leader's report, but not for a silent leader", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader) as [MemoryNode];
  await until("it knows its leader", () => follower.replica!.node.leader !== undefined);
  const clock = new StillClock();
  let asked = 0;
  let answer: Promise<unknown> = Promise.resolve(
    new LeaderProgressCache({ replica: leader.replica!, ask, clock }).own(),
  );
  function ask(): Promise<unknown> {
    asked++;
    return answer;
  }
  const cache = new LeaderProgressCache({ replica: follower.replica!, ask, clock });
  await cache.fresh();
  assert.equal(cache.of(leader.name)?.lag, 0);
  await cache.fresh();
  assert.equal(asked, 1, "within a second it is fresh enough");
  clock.advance(2_000);
  answer = new Promise(() => {});
  const waited = cache.fresh();
  clock.advance(300);
  await waited;
  assert.equal(asked, 2);
  assert.equal(cache.of(leader.name)?.lag, 0, "the last report is kept");
});

test("a change of leader is reported as an election, and a node that was not started is a learner without a cluster", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader) as [MemoryNode];
  const changes: ClusterChange[] = [];
  const stop = viewOf(follower).onChange((change) => changes.push(change));
  leader.replica!.node.transferLeadership(follower.replica!.identity.peer);
  await until("the election is reported", () => changes.some(({ change }) => change === "elected"));
  assert.equal(changes.find(({ change }) => change === "elected")?.name, follower.name);
  stop();
  const idle = viewOf(cluster.add("idle"));
  assert.deepEqual([idle.term, idle.leaderId, idle.hasQuorum], [0, undefined, false]);
  assert.deepEqual(
    idle.nodes().map(({ id, role }) => [id, role]),
    [["idle", "learner"]],
  );
});

test("a node that was removed does not list itself as healthy", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [node] = cluster.followers(leader) as [MemoryNode];
  const own = () =>
    viewOf(node)
      .nodes()
      .find(({ id }) => id === node.name);
  assert.equal(own()?.healthy, true);
  node.replica!.membershipFault = new Fault("failed-precondition");
  assert.equal(own()?.healthy, false);
});
