/** Whether a node is a member, in its readiness and in the reason for refused writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  MembershipStatus,
  type MembershipStatusOptions,
} from "../../../../src/agent/cluster/membership-status.ts";
import { NodeReadiness } from "../../../../src/agent/node-readiness.ts";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { type ConfState, emptyConfState, type Member } from "../../../../src/raft/mod.ts";

const member = (peer: number): Member => ({
  peer,
  name: `n${peer}`,
  directory: `d${peer}`,
  address: `n${peer}:1`,
});
const configurationOf = (...peers: number[]): ConfState => ({
  ...emptyConfState,
  voters: peers,
  roster: { members: peers.map(member), nextPeer: 10 },
});

/** Node 1 with this configuration; a test changes `replica` and `node`. */
function nodeOne(configuration: ConfState, configured = true) {
  const node: { leader: Member | undefined; configuration: ConfState } = { leader: member(2), configuration };
  const replica: {
    -readonly [K in keyof MembershipStatusOptions["replica"]]: MembershipStatusOptions["replica"][K];
  } = {
    configured,
    started: true,
    identity: { name: "n1", directory: "d1", peer: 1 },
    waitingFor: undefined,
    membershipFault: undefined,
    node,
    state: { configurationAt: () => configuration },
  };
  const readiness = new NodeReadiness();
  const status = new MembershipStatus({ replica, readiness, logger: noLogger });
  return { status, replica, node, readiness };
}

test("a node waits until its configuration names it, and is a member then", () => {
  const { status, replica, readiness } = nodeOne(configurationOf(1, 2), false);
  status.starting("c1");
  status.started();
  assert.deepEqual(readiness.reasons(), ["this node waits to be added to cluster c1"]);
  assert.equal(replica.waitingFor, "this node waits to be added to cluster c1");
  replica.configured = true;
  status.update();
  assert.deepEqual(readiness.reasons(), []);
});

test("a member that its configuration no longer names refuses writes and names the other members", () => {
  const { status, replica, node, readiness } = nodeOne(configurationOf(1, 2, 3));
  status.starting("c1");
  status.started();
  assert.deepEqual(readiness.reasons(), []);
  node.configuration = configurationOf(2, 3);
  status.update();
  assert.deepEqual(readiness.reasons(), ["this node was removed from its cluster"]);
  assert.match(replica.membershipFault?.message ?? "", /its members are at n2:1 n3:1$/);
});

test("a node that was notified of its removal is a member again only after it has a leader again", () => {
  const { status, replica, node, readiness } = nodeOne(configurationOf(1, 2));
  status.starting("c1");
  status.started();
  status.removed("this node was removed from its cluster");
  status.update();
  assert.equal(readiness.reasons().length, 1, "its old configuration and leader do not count");
  node.leader = undefined;
  status.update();
  assert.equal(readiness.reasons().length, 1);
  node.leader = member(2);
  status.update();
  assert.deepEqual([readiness.reasons(), replica.membershipFault], [[], undefined]);
});

test("a refused directory makes the node unready, beside other reasons", () => {
  const { status, replica, readiness } = nodeOne(configurationOf(1, 2));
  status.refused({ reason: "copy", message: "its directory is a copy", by: "n2" });
  assert.deepEqual(readiness.reasons(), ["this node takes no part in its cluster, its directory is a copy"]);
  assert.equal(replica.membershipFault?.facts.members, "n2:1");
});
