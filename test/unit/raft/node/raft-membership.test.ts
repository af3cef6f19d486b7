import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConfState, emptyConfState } from "../../../../src/raft/core/types.ts";
import { RaftMembership } from "../../../../src/raft/node/raft-membership.ts";
import { memberOf } from "../../../support/raft/raft-cluster.ts";

const state = (changed: Partial<ConfState>): ConfState => ({ ...emptyConfState, ...changed });

test("a voter of either part of a joint configuration is a voter, a learner is not", () => {
  const membership = new RaftMembership(state({ voters: [1], votersOutgoing: [2], learners: [3] }));
  assert.deepEqual(
    [1, 2, 3, 4].map((peer) => membership.isVoter(peer)),
    [true, true, false, false],
  );
});

test("a node is alone only with one voter, no learner and no other configuration to leave", () => {
  const isAlone = (changed: Partial<ConfState>): boolean =>
    new RaftMembership(state({ voters: [1], ...changed })).isAlone;
  assert.equal(isAlone({}), true);
  for (const changed of [{ voters: [] }, { voters: [1, 2] }, { learners: [2] }, { votersOutgoing: [1] }]) {
    assert.equal(isAlone(changed), false, JSON.stringify(changed));
  }
});

test("an applied change and a snapshot replace the configuration, which always has the roster", () => {
  const membership = new RaftMembership(emptyConfState);
  assert.deepEqual(membership.configuration.roster, { members: [], nextPeer: 1 });
  const change = { transition: "auto", changes: [], members: [1, 2].map(memberOf) } as const;
  membership.apply(change, state({ voters: [1, 2] }));
  assert.equal(membership.named("node-2"), membership.member(2));
  assert.deepEqual(membership.configuration.roster, { members: [1, 2].map(memberOf), nextPeer: 3 });
  membership.restore(state({ voters: [4], roster: { members: [memberOf(4)], nextPeer: 9 } }));
  assert.deepEqual([membership.configuration.voters, membership.nextPeer], [[4], 9]);
  assert.equal(membership.member(2), undefined);
});
