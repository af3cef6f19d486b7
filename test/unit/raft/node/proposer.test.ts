import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { proposal } from "../../../../src/raft/core/types.ts";
import type { ConfChange, Entry, Member } from "../../../../src/raft/mod.ts";
import { Proposals } from "../../../../src/raft/node/proposals.ts";
import { Proposer } from "../../../../src/raft/node/proposer.ts";
import { memberOf } from "../../../support/raft/raft-cluster.ts";
import { Lab, type LabOptions } from "../raft-lab.ts";

function scene(options: LabOptions = {}, leader?: Member) {
  const lab = new Lab({
    ...options,
    observe: ({ kind }) => {
      if (kind === "change-refused") proposer.noteChangeRefused();
    },
  });
  const { core } = lab;
  const proposals = new Proposals(100, 1_000_000);
  const proposer = new Proposer({ core, proposals, messageBytesMax: 10, leader: () => leader });
  const outcomes: (number | string)[] = [];
  const queue = (...entries: Entry[]): void => {
    const waiter = {
      applied: (index: number) => outcomes.push(index),
      failed: (fault: Error) => outcomes.push(fault.message),
    };
    proposals.queue({ entries, waiter });
  };
  return { lab, core, proposals, proposer, outcomes, queue };
}

const data = (bytes: number): Entry => proposal(Buffer.alloc(bytes));
const addLearner = (peer: number): ConfChange => ({
  transition: "auto",
  changes: [{ action: "learner", peer }],
});
const change = (peer: number): Entry => proposal(undefined, addLearner(peer));

test("queued proposals go to the core in appends of the largest size, and a change goes alone", () => {
  const { lab, core, proposer, queue } = scene();
  lab.lead();
  const propose = mock.method(core, "propose");
  for (const bytes of [4, 6, 1]) queue(data(bytes));
  queue(change(4));
  for (const bytes of [1, 20, 1]) queue(data(bytes));
  proposer.proposeQueued();
  assert.deepEqual(
    propose.mock.calls.map(({ arguments: [entries] }) => entries.map(({ bytes }) => bytes.length)),
    [[4, 6], [1], [0], [1], [20], [1]],
  );
});

test("each proposal of an append is settled by its own last entry", () => {
  const { lab, proposals, proposer, outcomes, queue } = scene({ voters: [1] });
  lab.lead();
  queue(data(1), data(1));
  queue(data(1));
  proposer.proposeQueued();
  assert.equal(proposals.pending, 2);
  lab.settle();
  proposals.applied(lab.applied);
  assert.deepEqual(outcomes, [3, 4]);
});

test("a change that the configuration does not allow now fails, and what follows it is proposed", () => {
  const { lab, proposals, proposer, outcomes, queue } = scene();
  lab.lead();
  for (const peer of [4, 5]) queue(change(peer));
  queue(data(1));
  proposer.proposeQueued();
  assert.deepEqual(outcomes, ["the configuration does not allow this change now"]);
  assert.equal(proposals.pending, 2);
});

test("a refusal says why: no leader, another leader, a transfer, or too many bytes", () => {
  const refusal = ({ proposer, outcomes, queue }: ReturnType<typeof scene>): unknown => {
    queue(data(1));
    proposer.proposeQueued();
    return outcomes.at(-1);
  };
  assert.equal(refusal(scene()), "there is no leader");
  assert.equal(refusal(scene({}, memberOf(2))), "this node is not the leader");
  const leading = scene({ uncommittedBytesMax: 20 });
  leading.lab.lead();
  leading.queue(data(20));
  leading.proposer.proposeQueued();
  assert.equal(refusal(leading), "too many bytes wait to be committed");
  leading.core.transferLeader(2);
  assert.equal(refusal(leading), "leadership is being handed over");
});

test("a node that does not lead names the leader that it knows", () => {
  const { kind, facts } = scene({}, memberOf(2)).proposer.notLeader();
  assert.deepEqual([kind, facts], ["not-leader", { leader: "node-2", address: "127.0.0.1:8002" }]);
});
