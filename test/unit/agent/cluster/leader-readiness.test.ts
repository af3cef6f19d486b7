import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaderReadiness } from "../../../../src/agent/cluster/leader-readiness.ts";
import { NodeReadiness } from "../../../../src/agent/node-readiness.ts";
import { StillClock } from "../../../support/log/logs.ts";
import { MemoryCluster, type MemoryNode } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

test("a follower is ready when it has caught up, and unready after 3 s without a leader", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader) as [MemoryNode];
  const readiness = new NodeReadiness();
  const clock = new StillClock();
  using watch = new LeaderReadiness(follower.replica!, readiness, clock);
  assert.ok(watch);
  await until("it has caught up", () => readiness.reasons().length === 0);
  cluster.isolate(follower.name);
  await until("it has lost its leader", () => follower.replica!.node.leader === undefined);
  clock.advance(2_900);
  assert.deepEqual(readiness.reasons(), []);
  clock.advance(200);
  assert.deepEqual(readiness.reasons(), ["there is no leader"]);
});
