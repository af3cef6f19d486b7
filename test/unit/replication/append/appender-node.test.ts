import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyConfState } from "../../../../src/raft/mod.ts";
import { appenderNodeOf } from "../../../../src/replication/append/appender-node.ts";
import { memberOf, RaftCluster } from "../../../support/raft/raft-cluster.ts";

test("a node is alone while there is one voter and no learner, also in a joint configuration", () => {
  const cluster = new RaftCluster(1);
  const alone = (changed: object): boolean => {
    const configuration = { ...emptyConfState, voters: [1], ...changed };
    return appenderNodeOf(Object.create(cluster.at(1).node, { configuration: { value: configuration } }))
      .alone;
  };
  assert.equal(alone({}), true);
  assert.equal(alone({ voters: [1, 2] }), false);
  assert.equal(alone({ learners: [2] }), false);
  assert.equal(alone({ votersOutgoing: [1] }), false);
});

test("the state of the node is read at each call, and a node that does not lead refuses a proposal", async () => {
  const cluster = new RaftCluster(3);
  const proposer = appenderNodeOf(cluster.at(1).node);
  const waiter = { applied: () => undefined, failed: () => undefined };
  assert.deepEqual([proposer.isLeader, proposer.isHandingOver, proposer.alone], [false, false, false]);
  const termBefore = proposer.term;
  await cluster.elect(1);
  assert.deepEqual([proposer.isLeader, proposer.term > termBefore], [true, true]);
  cluster.at(1).node.transferLeadership(memberOf(2).peer);
  assert.equal(proposer.isHandingOver, true);
  await cluster.until("the transfer", () => cluster.at(2).node.isLeader);
  await cluster.run(100);
  assert.equal(proposer.propose([], waiter)?.kind, "not-leader");
});
