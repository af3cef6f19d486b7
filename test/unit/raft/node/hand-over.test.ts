import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyConfState } from "../../../../src/raft/core/types.ts";
import { HandOver } from "../../../../src/raft/node/hand-over.ts";
import { RaftMembership } from "../../../../src/raft/node/raft-membership.ts";
import { Lab } from "../raft-lab.ts";

const electionTicks = 10;

/** The leader 1 of a cluster whose followers 2 and 3 have so many entries. */
function scene({ voters = [1, 2, 3], learners = [] as number[], entries = [1, 2] } = {}) {
  const lab = new Lab({ voters, learners });
  lab.lead();
  lab.propose("a");
  const { core } = lab;
  for (const [at, index] of entries.entries())
    lab.receive("append-response", { from: 2 + at, term: core.term, index });
  const membership = new RaftMembership({ ...emptyConfState, voters, learners });
  const successors: number[] = [];
  const transfers: number[] = [];
  const transport = { successors: () => successors };
  const transfer = (to: number): void => {
    transfers.push(to);
  };
  const handOver = new HandOver({ core, membership, transport, electionTicks, transfer });
  return { core, membership, successors, transfers, handOver };
}

test("leadership goes to the active voter with the longest log, or to that of the given ones", () => {
  const { handOver, transfers } = scene();
  handOver.toBest();
  handOver.toBest([2]);
  handOver.toBest([1, 9]);
  assert.deepEqual(transfers, [3, 2]);
  const reversed = scene({ entries: [2, 1] });
  reversed.handOver.toBest();
  assert.deepEqual(reversed.transfers, [2]);
});

test("a learner never gets the leadership, however long its log is", () => {
  const { handOver, transfers } = scene({ voters: [1, 2], learners: [3] });
  handOver.toBest();
  assert.deepEqual(transfers, [2]);
});

test("a leader that is a voter and can read its log keeps the leadership", () => {
  const { handOver, transfers } = scene();
  for (let now = 0; now < 100; now++) handOver.tick(now);
  assert.deepEqual(transfers, []);
});

test("a removed leader hands over at its next tick", () => {
  const { core, membership, handOver, transfers } = scene();
  membership.apply(
    { transition: "auto", changes: [{ action: "remove", peer: 1 }] },
    { ...core.configuration, voters: [2, 3] },
  );
  handOver.tick(1);
  assert.deepEqual(transfers, [3]);
});

test("damaged entries that a follower needs cause one transfer", () => {
  const { handOver, transfers } = scene();
  handOver.noteUnreadable();
  handOver.tick(1);
  handOver.tick(2);
  assert.deepEqual(transfers, [3]);
});

test("a transfer to a successor that fails is repeated after a pause that doubles up to a limit", () => {
  const { handOver, successors, transfers } = scene();
  successors.push(2);
  const at: number[] = [];
  for (let now = 0; now < 2_500; now++) {
    const before = transfers.length;
    handOver.tick(now);
    if (transfers.length > before) at.push(now);
  }
  assert.deepEqual(
    at.map((now, place) => (now - (at[place - 1] ?? 0)) / electionTicks),
    [0, 4, 8, 16, 32, 64, 64],
  );
});

test("the pause is over when no successor is named any more", () => {
  const { handOver, successors, transfers } = scene();
  successors.push(2);
  handOver.tick(0);
  successors.pop();
  handOver.tick(1);
  successors.push(3);
  handOver.tick(2);
  assert.deepEqual(transfers, [2, 3]);
});

test("while a transfer is under way, or on a node that does not lead, no other one begins", () => {
  const { core, handOver, successors, transfers } = scene();
  successors.push(2);
  core.transferLeader(3);
  handOver.tick(0);
  assert.deepEqual(transfers, []);
  const follower = new Lab();
  const idle = new HandOver({
    core: follower.core,
    membership: new RaftMembership({ ...emptyConfState, voters: [2, 3] }),
    transport: { successors: () => [2] },
    electionTicks,
    transfer: () => assert.fail("a follower has nothing to hand over"),
  });
  idle.noteUnreadable();
  idle.tick(0);
});
