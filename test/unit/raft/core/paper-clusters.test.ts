/**
 * One test for each rule of "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout) and of Ongaro's
 * dissertation on members, snapshots and clients, named by the rule.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Message, message } from "../../../../src/raft/core/mod.ts";
import { entry, Lab } from "../raft-lab.ts";

const roleOf = (lab: Lab): string => lab.core.role;
const typesTo = (messages: readonly Message[], type: Message["type"]): number[] =>
  messages.filter((one) => one.type === type).map((one) => one.to);

// §6 Cluster membership

test("§6: learners get entries, do not vote, and do not count for a quorum", () => {
  const lab = new Lab({ voters: [1, 2], learners: [3] });
  lab.core.campaign();
  assert.deepEqual(typesTo(lab.settle(), "vote"), [2]);
  lab.receive("vote-response", { from: 3, term: 1 });
  assert.equal(roleOf(lab), "candidate");
  const appends = lab.receive("vote-response", { from: 2, term: 1 });
  assert.deepEqual(typesTo(appends, "append"), [2, 3]);
  lab.receive("append-response", { from: 3, term: 1, index: 1 });
  assert.equal(lab.core.committed, 0);
});

test("§6: a learner that was promoted without knowing it still votes", () => {
  const lab = new Lab({ id: 3, voters: [1, 2], learners: [3] });
  assert.equal(lab.receive("vote", { from: 1, term: 1 })[0]?.reject, false);
});

test("§6: while joint, an election and a commit need both majorities", () => {
  const lab = new Lab();
  lab.lead();
  lab.core.proposeChange({
    transition: "explicit",
    changes: [
      { action: "voter", peer: 4 },
      { action: "voter", peer: 5 },
      { action: "remove", peer: 2 },
      { action: "remove", peer: 3 },
    ],
  });
  lab.settle();
  lab.receive("append-response", { from: 2, term: 1, index: 2 });
  assert.equal(lab.core.committed, 2);
  lab.propose("x");
  lab.receive("append-response", { from: 2, term: 1, index: 3 });
  assert.equal(lab.core.committed, 2);
  lab.receive("append-response", { from: 4, term: 1, index: 3 });
  assert.equal(lab.core.committed, 3);
});

test("§6: one change at a time: a second becomes an empty entry", () => {
  const lab = new Lab();
  lab.lead();
  lab.receive("append-response", { from: 2, term: 1, index: 1 });
  const change = { transition: "auto", changes: [{ action: "voter", peer: 4 }] } as const;
  lab.core.proposeChange(change);
  lab.core.proposeChange(change);
  lab.settle();
  const stored = lab.storage.entries(2, 4, 1e9) ?? [];
  assert.deepEqual(
    stored.map((one) => one.change !== undefined),
    [true, false],
  );
  assert.ok(lab.events.some((event) => event.kind === "change-refused"));
});

test("§6: no change before an entry of the leader's own term is committed", () => {
  const lab = new Lab();
  lab.lead();
  lab.core.proposeChange({ transition: "auto", changes: [{ action: "voter", peer: 4 }] });
  lab.settle();
  assert.equal(lab.storage.entries(2, 3, 1e9)?.[0]?.change === undefined, false);
  const later = new Lab({ log: [1], term: 1 });
  later.lead();
  later.core.proposeChange({ transition: "auto", changes: [{ action: "voter", peer: 4 }] });
  later.settle();
  assert.equal(later.storage.entries(3, 4, 1e9)?.[0]?.change, undefined);
});

test("§6: a removed leader does not count itself and, if configured so, steps down once the change is applied", () => {
  const lab = new Lab({ stepDownOnRemoval: true });
  lab.lead();
  lab.receive("append-response", { from: 2, term: 1, index: 1 });
  lab.core.proposeChange({ transition: "auto", changes: [{ action: "remove", peer: 1 }] });
  lab.settle();
  lab.receive("append-response", { from: 2, term: 1, index: 2 });
  assert.equal(roleOf(lab), "follower");
  assert.deepEqual(lab.tick(40), []);
});

test("§6: a node with a committed change it has not applied does not campaign", () => {
  const lab = new Lab({ log: [1], term: 1, asyncStorage: true });
  lab.core.step(
    message("append", 1, {
      from: 2,
      term: 1,
      index: 1,
      logTerm: 1,
      commit: 2,
      entries: [{ ...entry(1, 2), change: { transition: "auto", changes: [{ action: "voter", peer: 4 }] } }],
    }),
  );
  lab.core.campaign();
  assert.equal(roleOf(lab), "follower");
  assert.ok(lab.events.some((event) => event.kind === "election-waits-for-configuration"));
});

// §7 Log compaction

test("§7: a snapshot replaces a log that ends before it, or differs", () => {
  for (const log of [[], [1], [1, 1, 1, 1]]) {
    const lab = new Lab({ log, term: 1 });
    const snapshot = { index: 3, term: 2, configuration: lab.core.configuration, data: Buffer.from("s") };
    const [answer] = lab.receive("snapshot", { from: 2, term: 2, snapshot });
    assert.equal(answer?.index, 3);
    assert.equal(lab.core.lastIndex, 3);
    assert.equal(lab.core.applied, 3);
    assert.equal(lab.storage.firstIndex, 4);
  }
});

test("§7: a snapshot of what the log already has keeps the log, and what follows it", () => {
  const lab = new Lab({ log: [1, 1, 1, 1], term: 1 });
  const snapshot = { index: 3, term: 1, configuration: lab.core.configuration, data: Buffer.from("s") };
  const [answer] = lab.receive("snapshot", { from: 2, term: 1, snapshot });
  assert.equal(answer?.index, 3);
  assert.deepEqual(lab.terms, [1, 1, 1, 1]);
  assert.equal(lab.core.committed, 3);
});

test("§7: a leader whose log starts after what a follower needs sends its snapshot", () => {
  const lab = new Lab({ log: [1, 1, 1], term: 1, commit: 3, voters: [1, 2] });
  lab.settle();
  lab.lead();
  lab.receive("append-response", { from: 2, term: 2, index: 4 });
  lab.storage.compact(3);
  lab.storage.newest = () => ({
    index: 3,
    term: 1,
    configuration: lab.core.configuration,
    data: Buffer.from("s"),
  });
  lab.receive("append-response", { from: 2, term: 2, index: 4, reject: true });
  assert.equal(lab.core.progressOf(2)?.match, 4);
  const fresh = new Lab({ log: [1, 1, 1], term: 1, commit: 3, voters: [1, 2, 3] });
  fresh.settle();
  fresh.lead();
  fresh.storage.compact(3);
  fresh.storage.newest = lab.storage.newest;
  fresh.core.step(message("append-response", 1, { from: 3, term: 2, index: 3, reject: true }));
  assert.deepEqual(typesTo(fresh.settle(), "snapshot"), [3]);
  assert.equal(fresh.core.progressOf(3)?.state, "snapshot");
});

// §8 Client interaction

test("§8: a new leader begins with an empty entry of its term", () => {
  const lab = new Lab({ log: [1], term: 1 });
  lab.lead();
  assert.deepEqual(lab.terms, [1, 2]);
  assert.equal(lab.storage.entries(2, 3, 1e9)?.[0]?.bytes.length, 0);
});

test("§8: a read waits for a quorum to confirm the leader, and for an entry of its term", () => {
  const lab = new Lab();
  lab.lead();
  lab.core.readIndex(1);
  assert.deepEqual(typesTo(lab.settle(), "heartbeat"), []);
  const beats = lab
    .receive("append-response", { from: 2, term: 1, index: 1 })
    .filter((one) => one.type === "heartbeat");
  assert.equal(beats.length, 2);
  assert.deepEqual(lab.reads, []);
  lab.receive("heartbeat-response", { from: 3, term: 1, context: beats[0]?.context ?? 0 });
  assert.deepEqual(lab.reads, [{ context: 1, index: 1 }]);
});

test("§8: an answer to an older heartbeat confirms no newer read", () => {
  const lab = new Lab();
  lab.lead();
  lab.receive("append-response", { from: 2, term: 1, index: 1 });
  lab.core.readIndex(1);
  const first = lab.settle().find((one) => one.type === "heartbeat");
  lab.core.readIndex(1);
  lab.settle();
  lab.receive("heartbeat-response", { from: 2, term: 1, context: first?.context ?? 0 });
  assert.equal(lab.reads.length, 1);
});

test("§8: learners confirm no read", () => {
  const lab = new Lab({ voters: [1, 2], learners: [3] });
  lab.lead();
  lab.receive("append-response", { from: 2, term: 1, index: 1 });
  lab.core.readIndex(4);
  const beat = lab.settle().find((one) => one.type === "heartbeat");
  lab.receive("heartbeat-response", { from: 3, term: 1, context: beat?.context ?? 0 });
  assert.deepEqual(lab.reads, []);
});

test("§8: a cluster of one reads at once", () => {
  const lab = new Lab({ voters: [1] });
  lab.lead();
  lab.core.readIndex(9);
  lab.settle();
  assert.deepEqual(lab.reads, [{ context: 9, index: 1 }]);
});
