import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../support/logs.ts";
import { until } from "../../support/replicas.ts";
import { SocketCluster } from "../../support/socket-cluster.ts";

test("a node that knows nobody answers the leader that found it, and so becomes a learner and a voter", async () => {
  await using cluster = await SocketCluster.open(1);
  const leader = cluster.nodes[0]!.up!.replica;
  const joining = await cluster.add("n1");
  joining.clusterId = "c0ffee";
  const { replica, network } = joining.up!;
  replica.start();
  const { member } = replica;
  const change = (action: "learner" | "voter") =>
    leader.node.proposeChange({
      transition: "auto",
      changes: [{ action, peer: member.peer }],
      members: [member],
    });
  await leader.log.append(run("before"));
  await change("learner");
  await until("the learner has what the leader has", () => replica.storedLog.bounds.next === 1);
  await change("voter");
  // Two of two must have it now.
  await leader.log.append(run("after"));
  await until("it is told", () => replica.storedLog.bounds.next === 2);
  assert.equal(replica.configured, true);
  assert.deepEqual(
    network.peers().map(({ name }) => name),
    ["n0"],
  );
});
