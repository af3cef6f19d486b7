/**
 * Changes of configuration after which a node could wait forever: a removed node reports the commit index, a new node
 * accepts that report, and a postponed change is made later. The simulator found each case.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyConfState } from "../../../../src/raft/core/mod.ts";
import { MemoryLogStorage } from "../../../support/disk/memory-log-storage.ts";
import { entry, Lab } from "../raft-lab.ts";

const joins = { transition: "auto", changes: [{ action: "voter", peer: 2 }] } as const;

function joiner(): Lab {
  const storage = new MemoryLogStorage();
  storage.append([{ ...entry(1, 1), change: joins }, entry(1, 2)]);
  return new Lab({ id: 2, voters: [], storage, term: 1, commitByVote: true });
}

test("a removed node without a leader sends the voters its commit index, with term 0", () => {
  const lab = new Lab({ id: 1, voters: [2, 3], log: [1, 1, 1], commit: 2, commitByVote: true });
  const sent = lab.tick(25).filter(({ type }) => type === "pre-vote-response");
  assert.deepEqual(
    sent.slice(0, 2).map(({ to, term, reject, commit, logTerm }) => ({ to, term, reject, commit, logTerm })),
    [2, 3].map((to) => ({ to, term: 0, reject: true, commit: 2, logTerm: 1 })),
  );
  assert.equal(lab.core.role, "follower");
});

test("a removed node with a leader sends nothing", () => {
  const lab = new Lab({ id: 1, voters: [2, 3], log: [1, 1, 1], commit: 2, commitByVote: true });
  lab.receive("heartbeat", { from: 2, term: 1 });
  assert.deepEqual(lab.tick(25), []);
});

test("a node that has not applied its own addition learns from a removed node that it is the only voter", () => {
  const lab = joiner();
  lab.tick(25);
  assert.equal(lab.core.role, "follower");
  lab.receive("pre-vote-response", { from: 1, reject: true, commit: 1, logTerm: 1 });
  assert.deepEqual(lab.core.configuration.voters, [2]);
  lab.tick(25);
  assert.equal(lab.core.role, "leader");
});

test("a candidate that is refused by a node with a lower commit index sends it the commit index, in any term", () => {
  for (const refusal of [1, 3]) {
    const lab = new Lab({ id: 1, voters: [1, 2], log: [3, 3, 3], term: 3, commit: 2, commitByVote: true });
    const answers = [1, 2].map((commit) =>
      lab.receive("pre-vote-response", { from: 2, term: refusal, reject: true, commit, logTerm: 3 }),
    );
    assert.deepEqual(
      answers.flat().map(({ type, to, term, commit, logTerm }) => ({ type, to, term, commit, logTerm })),
      [{ type: "pre-vote-response", to: 2, term: 0, commit: 2, logTerm: 3 }],
    );
  }
});

test("a reported commit index counts only if both logs have the same entry there", () => {
  const lab = joiner();
  lab.receive("pre-vote-response", { from: 1, reject: true, commit: 2, logTerm: 2 });
  lab.receive("pre-vote-response", { from: 1, reject: true, commit: 9, logTerm: 1 });
  assert.equal(lab.core.committed, 0);
});

test("a snapshot from before this node joined is accepted only if snapshots may predate members", () => {
  const configuration = { ...emptyConfState, voters: [1, 3] };
  const snapshot = { index: 5, term: 1, configuration, data: new Uint8Array(0) };
  for (const snapshotsMayPredateUs of [true, false]) {
    const lab = new Lab({ id: 2, voters: [], snapshotsMayPredateUs });
    lab.receive("snapshot", { from: 1, term: 1, snapshot });
    assert.equal(lab.core.committed, snapshotsMayPredateUs ? 5 : 0);
  }
});

test("a joint configuration that could not be left during a transfer is left when the transfer is aborted", () => {
  const lab = new Lab({ voters: [1, 2, 3] });
  lab.lead();
  for (const from of [2, 3]) lab.receive("append-response", { from, term: 1, index: 1 });
  lab.core.proposeChange({ transition: "implicit", changes: [{ action: "voter", peer: 4 }] });
  lab.settle();
  lab.core.transferLeader(2);
  lab.receive("append-response", { from: 3, term: 1, index: 2 });
  assert.ok(lab.events.some(({ kind }) => kind === "auto-leave-postponed"));
  assert.equal(lab.core.lastIndex, 2);
  lab.receive("heartbeat-response", { from: 3, term: 1 });
  lab.tick(10);
  assert.equal(lab.core.role, "leader");
  assert.equal(lab.core.lastIndex, 3);
});

/** The log 1 │ change │ leaving it, of voters 1, 2, 3 that become 1, 4. */
const replaced = (changes: number): MemoryLogStorage => {
  const storage = new MemoryLogStorage();
  const removed = [2, 3].map((peer) => ({ action: "remove", peer }) as const);
  const change = { transition: "auto", changes: [{ action: "voter", peer: 4 }, ...removed] } as const;
  const left = { transition: "auto", changes: [] } as const;
  const log = [entry(1, 1), { ...entry(1, 2), change }, { ...entry(1, 3), change: left }];
  storage.append(log.slice(0, 1 + changes));
  return storage;
};

test("after a restart, all changes of configuration in the log except the last count as committed", () => {
  const one = new Lab({ storage: replaced(1), term: 1 });
  one.core.campaign();
  assert.deepEqual([one.core.committed, one.core.role], [0, "candidate"]);
  const lab = new Lab({ storage: replaced(2), term: 1 });
  lab.core.campaign();
  assert.deepEqual([lab.core.committed, lab.core.role], [2, "follower"]); // until that is applied
  lab.settle();
  assert.deepEqual(lab.core.configuration.voters, [1, 4]);
  lab.core.campaign();
  lab.settle();
  // The replaced voters are a majority of the old configuration, which does not count any more.
  for (const from of [2, 3]) lab.receive("vote-response", { from, term: 2 });
  assert.equal(lab.core.role, "candidate");
  lab.receive("vote-response", { from: 4, term: 2 });
  assert.equal(lab.core.role, "leader");
});

test("a node that is in no configuration does not use those in its log, and waits for a leader", () => {
  const lab = new Lab({ storage: replaced(2), term: 1, voters: [] });
  lab.tick(25);
  assert.equal(lab.core.committed, 0);
  assert.deepEqual(lab.core.configuration.voters, []);
});

test("late votes do not elect a candidate that has learned of its removal", () => {
  const storage = new MemoryLogStorage();
  const leaves = { transition: "auto", changes: [{ action: "remove", peer: 1 }] } as const;
  storage.append([entry(1, 1), { ...entry(1, 2), change: leaves }]);
  const lab = new Lab({ storage, term: 1, commitByVote: true });
  lab.core.campaign();
  lab.settle();
  lab.receive("vote-response", { from: 2, term: 2, reject: true, commit: 2, logTerm: 1 });
  assert.deepEqual(lab.core.configuration.voters, [2, 3]);
  assert.equal(lab.core.role, "follower");
  for (const from of [2, 3]) lab.receive("vote-response", { from, term: 2 });
  assert.equal(lab.core.role, "follower");
});
