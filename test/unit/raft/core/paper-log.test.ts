/**
 * One test for each rule of "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout) and of Ongaro's
 * dissertation on the replicated log, named by the rule.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { message, proposal } from "../../../../src/raft/core/mod.ts";
import { entry, Lab, LabNetwork, network } from "../raft-lab.ts";

const roleOf = (lab: Lab): string => lab.core.role;

// §5.3 Log replication

test("§5.3: a proposal becomes the next entry of the leader's log, in its term, and is sent at once", () => {
  const lab = new Lab({ term: 1 });
  lab.lead();
  lab.receive("append-response", { from: 2, term: 2, index: 1 });
  lab.receive("append-response", { from: 3, term: 2, index: 1 });
  const sent = lab.propose("x").filter((one) => one.type === "append");
  assert.deepEqual(
    sent.map(({ to, index, logTerm, entries }) => [to, index, logTerm, entries.length]),
    [
      [2, 1, 2, 1],
      [3, 1, 2, 1],
    ],
  );
  assert.deepEqual(lab.terms, [2, 2]);
});

test("§5.3: an entry is committed once a majority has it durably, the leader among them", () => {
  for (const [size, acks, committed] of [
    [3, 0, false],
    [3, 1, true],
    [5, 1, false],
    [5, 2, true],
  ] as const) {
    const lab = new Lab({ voters: Array.from({ length: size }, (_, at) => at + 1) });
    lab.lead();
    lab.propose("x");
    for (let peer = 2; peer < 2 + acks; peer++)
      lab.receive("append-response", { from: peer, term: 1, index: 2 });
    assert.equal(lab.core.committed === 2, committed, `${acks} of ${size}`);
  }
});

test("§5.3: the leader's own entry counts only once its own disk has it", () => {
  const lab = new Lab({ asyncStorage: true, voters: [1] });
  lab.core.campaign();
  let work = lab.core.ready().messages[0];
  assert.equal(roleOf(lab), "candidate");
  for (const one of work?.responses ?? []) lab.core.step(one);
  assert.equal(roleOf(lab), "leader");
  work = lab.core.ready().messages.find((one) => one.type === "storage-append");
  assert.equal(lab.core.committed, 0);
  lab.storage.append(work?.entries ?? []);
  for (const one of work?.responses ?? []) lab.core.step(one);
  assert.equal(lab.core.committed, 1);
});

test("§5.3: followers learn the commit index and apply in order", () => {
  const net = network(3);
  net.lab(1).core.campaign();
  net.settle();
  for (const text of ["a", "b", "c"]) net.lab(1).core.propose([proposal(Buffer.from(text))]);
  net.settle();
  for (const id of [1, 2, 3]) {
    assert.deepEqual(
      net.lab(id).applied.map((one) => Buffer.from(one.bytes).toString()),
      ["", "a", "b", "c"],
    );
  }
});

test("§5.3: committing an entry commits all before it, also those of earlier leaders", () => {
  const lab = new Lab({ log: [1, 1, 2] });
  lab.lead();
  lab.receive("append-response", { from: 2, term: 3, index: 4 });
  assert.equal(lab.core.committed, 4);
  assert.equal(lab.applied.length, 4);
});

test("§5.3: a follower refuses entries after one that it does not have, with a hint where the logs may agree", () => {
  const lab = new Lab({ log: [1, 2], term: 2 });
  for (const [index, logTerm, reject, rejectHint] of [
    [0, 0, false, 0],
    [2, 2, false, 0],
    [2, 3, true, 2],
    [1, 2, true, 1],
    [3, 3, true, 2],
  ] as const) {
    const [answer] = lab.receive("append", { from: 2, term: 3, index, logTerm });
    assert.equal(answer?.reject, reject, `${index}/${logTerm}`);
    assert.equal(answer?.rejectHint, rejectHint, `${index}/${logTerm}`);
  }
});

test("§5.3: a conflicting entry and all after it are replaced by the leader's", () => {
  for (const [index, logTerm, entries, terms] of [
    [2, 2, [entry(3, 3)], [1, 2, 3]],
    [1, 1, [entry(3, 2), entry(4, 3)], [1, 3, 4]],
    [0, 0, [entry(1, 1)], [1, 2, 4]],
    [0, 0, [entry(3, 1)], [3]],
  ] as const) {
    const lab = new Lab({ log: [1, 2, 4], term: 4 });
    lab.receive("append", { from: 2, term: 5, index, logTerm, entries });
    assert.deepEqual(lab.terms, terms);
  }
});

test("§5.3: a delayed, shorter append does not remove matching entries", () => {
  const lab = new Lab({ log: [1, 1, 1], term: 1 });
  const [answer] = lab.receive("append", { from: 2, term: 1, index: 0, logTerm: 0, entries: [entry(1, 1)] });
  assert.equal(answer?.index, 1);
  assert.deepEqual(lab.terms, [1, 1, 1]);
});

test("§5.3: the leader goes back until the logs agree, skipping whole terms (figure 7)", () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  for (const followerLog of [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ]) {
    const leader = new Lab({ id: 1, log: leaderLog, term: 7 });
    const follower = new Lab({ id: 2, log: followerLog, term: 7 });
    const net = new LabNetwork([leader, follower, new Lab({ id: 3, log: [1], term: 7 })]);
    leader.core.campaign();
    net.settle();
    leader.core.campaign();
    net.settle();
    assert.equal(roleOf(leader), "leader", String(followerLog));
    assert.deepEqual(follower.terms, leader.terms);
    const probes = leader.events.filter((event) => event.kind === "refusal-received").length;
    assert.ok(probes <= 6, `${probes} refusals`);
  }
});

test("§5.3: a follower commits only what the append proves to match", () => {
  for (const [commit, entries, expected] of [
    [1, [], 1],
    [3, [entry(1, 3)], 3],
    [9, [entry(1, 3)], 3],
    [9, [], 2],
  ] as const) {
    const lab = new Lab({ log: [1, 1], term: 1 });
    lab.receive("append", { from: 2, term: 1, index: 2, logTerm: 1, entries, commit });
    assert.equal(lab.core.committed, expected);
  }
});

// §5.4 Safety

test("§5.4.1: a vote goes only to a candidate whose log is at least as up to date, by term, then by length", () => {
  for (const [log, index, logTerm, granted] of [
    [[1], 1, 1, true],
    [[1], 1, 2, true],
    [[1, 1], 1, 2, true],
    [[1], 2, 1, true],
    [[1, 2], 3, 1, false],
    [[2], 1, 1, false],
    [[1, 1], 1, 1, false],
  ] as const) {
    const lab = new Lab({ log });
    const [answer] = lab.receive("vote", { from: 2, term: 9, index, logTerm });
    assert.equal(answer?.reject, !granted, `${log} asked by ${index}/${logTerm}`);
  }
});

test("§5.4.2: only entries of the leader's own term commit by counting (figure 8)", () => {
  const lab = new Lab({ log: [1, 2], term: 2 });
  lab.lead();
  lab.receive("append-response", { from: 2, term: 3, index: 2 });
  lab.receive("append-response", { from: 3, term: 3, index: 2 });
  assert.equal(lab.core.committed, 0);
  lab.receive("append-response", { from: 2, term: 3, index: 3 });
  assert.equal(lab.core.committed, 3);
});

test("§5.4.3: a committed entry is never replaced: such an append breaks an assertion", () => {
  const lab = new Lab({ log: [1, 1], term: 1, commit: 2 });
  lab.settle();
  assert.throws(() =>
    lab.core.step(
      message("append", 1, {
        from: 2,
        term: 2,
        index: 2,
        logTerm: 1,
        entries: [entry(2, 2)],
      }),
    ),
  );
});

test("figure 2: a leader does not overwrite or delete its own entries", () => {
  const lab = new Lab({ log: [1, 1] });
  lab.lead();
  lab.receive("append", { from: 2, term: 1, index: 0, logTerm: 0, entries: [entry(1, 1)] });
  assert.deepEqual(lab.terms, [1, 1, 2]);
  assert.equal(roleOf(lab), "leader");
});

// §5.5 Follower and candidate crashes: messages may come twice

test("§5.5: a duplicate append has no effect", () => {
  const lab = new Lab({ term: 1 });
  const append = { from: 2, term: 1, index: 0, logTerm: 0, entries: [entry(1, 1)], commit: 1 };
  assert.deepEqual(lab.receive("append", append)[0]?.index, 1);
  assert.deepEqual(lab.receive("append", append)[0]?.index, 1);
  assert.deepEqual(lab.terms, [1]);
  assert.equal(lab.applied.length, 1);
});

test("§5.5: lost appends are found by heartbeats and sent again without limit", () => {
  const net = network(3);
  net.lab(1).core.campaign();
  net.settle();
  net.isolate(3);
  for (const text of ["a", "b", "c"]) net.lab(1).core.propose([proposal(Buffer.from(text))]);
  net.settle();
  assert.equal(net.lab(3).core.lastIndex, 1);
  net.heal();
  net.lab(1).core.tick();
  net.settle();
  assert.deepEqual(net.lab(3).terms, net.lab(1).terms);
});
