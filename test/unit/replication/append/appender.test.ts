import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

test("appends during a leadership transfer wait for the new leader and are written there once", async () => {
  await using cluster = await MemoryCluster.open(3);
  const old = (await cluster.leader()).replica!;
  await old.log.append(run("before"));
  const [next] = cluster.followers(cluster.nodes.find(({ replica }) => replica === old)!);
  old.node.transferLeadership(next!.replica!.identity.peer);
  assert.equal(old.ready, false);
  const appended = await Promise.all(Array.from({ length: 50 }, (_, at) => old.log.append(run(`v${at}`))));
  await until("the new leader is ready", () => next!.replica!.ready);
  assert.equal(new Set(appended.map(({ firstOffset }) => firstOffset)).size, 50);
  assert.equal((await old.log.bounds({ mode: "linearizable" })).next, 51);
});
