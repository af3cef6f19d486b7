/**
 * One test for each rule of "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout) and of the
 * rules on elections in Ongaro's dissertation, named by the rule.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Message, proposal } from "../../../../src/raft/core/mod.ts";
import { entry, Lab, LabNetwork, network } from "../../../support/raft-lab.ts";

const roleOf = (lab: Lab): string => lab.core.role;
const typesTo = (messages: readonly Message[], type: Message["type"]): number[] =>
  messages.filter((one) => one.type === type).map((one) => one.to);

// §5.1 Raft basics

test("§5.1: a server that sees a larger term takes it on, whatever its role", () => {
  for (const make of [
    (): Lab => new Lab({ term: 1 }),
    (): Lab => {
      const lab = new Lab({ term: 1 });
      lab.core.campaign();
      return lab;
    },
    (): Lab => {
      const lab = new Lab({ term: 1 });
      lab.lead();
      return lab;
    },
  ]) {
    const lab = make();
    lab.receive("append", { from: 2, term: 7 });
    assert.equal(lab.core.term, 7);
    assert.equal(roleOf(lab), "follower");
    assert.equal(lab.core.leader, 2);
  }
});

test("§5.1: a request of an older term is refused or ignored and changes nothing", () => {
  const lab = new Lab({ term: 3, log: [1, 3] });
  assert.deepEqual(lab.receive("append", { from: 2, term: 2, index: 2, logTerm: 3, commit: 2 }), []);
  assert.equal(lab.core.committed, 0);
  assert.equal(lab.core.term, 3);
});

test("§5.1: a server starts as follower", () => {
  assert.equal(roleOf(new Lab()), "follower");
});

// §5.2 Leader election

test("§5.2: a leader sends heartbeats every heartbeat interval, to everyone else", () => {
  const lab = new Lab({ heartbeatTicks: 2 });
  lab.lead();
  assert.deepEqual(typesTo(lab.tick(1), "heartbeat"), []);
  assert.deepEqual(typesTo(lab.tick(1), "heartbeat"), [2, 3]);
});

test("§5.2: a follower that hears of no leader for an election timeout becomes candidate of the next term", () => {
  const lab = new Lab({ term: 1 });
  const asked = lab.tick(20);
  assert.equal(roleOf(lab), "candidate");
  assert.ok(lab.core.term >= 2);
  assert.deepEqual(typesTo(asked, "vote").slice(0, 2), [2, 3]);
});

test("§5.2: a candidate votes for itself, durably, before it asks", () => {
  const lab = new Lab();
  lab.core.campaign();
  lab.settle();
  assert.deepEqual(lab.storage.hardState, { term: 1, vote: 1, commit: 0 });
});

test("§5.2: who gets votes of a majority becomes leader", () => {
  for (const [size, votes, role] of [
    [1, 0, "leader"],
    [3, 1, "leader"],
    [3, 0, "candidate"],
    [5, 1, "candidate"],
    [5, 2, "leader"],
    [4, 1, "candidate"],
    [4, 2, "leader"],
  ] as const) {
    const lab = new Lab({ voters: Array.from({ length: size }, (_, at) => at + 1) });
    lab.core.campaign();
    lab.settle();
    for (let peer = 2; peer < 2 + votes; peer++) lab.receive("vote-response", { from: peer, term: 1 });
    assert.equal(roleOf(lab), role, `${votes} of ${size}`);
  }
});

test("§5.2: a peer's vote counts once", () => {
  const lab = new Lab({ voters: [1, 2, 3, 4, 5] });
  lab.core.campaign();
  lab.settle();
  for (let again = 0; again < 3; again++) lab.receive("vote-response", { from: 2, term: 1 });
  assert.equal(roleOf(lab), "candidate");
});

test("§5.2: a server votes for at most one candidate in a term, first come first served", () => {
  const lab = new Lab();
  assert.equal(lab.receive("vote", { from: 2, term: 1 })[0]?.reject, false);
  assert.equal(lab.receive("vote", { from: 3, term: 1 })[0]?.reject, true);
  assert.equal(lab.receive("vote", { from: 2, term: 1 })[0]?.reject, false);
});

test("§5.2: a vote is remembered across a restart", () => {
  const lab = new Lab();
  lab.receive("vote", { from: 2, term: 1 });
  const again = new Lab({ storage: lab.storage, ...lab.storage.hardState });
  assert.equal(again.receive("vote", { from: 3, term: 1 })[0]?.reject, true);
  assert.equal(again.receive("vote", { from: 2, term: 1 })[0]?.reject, false);
});

test("§5.2: a vote leaves only with the hard state that remembers it", () => {
  const lab = new Lab({ asyncStorage: true });
  lab.core.step({ ...blank, type: "vote", from: 2, to: 1, term: 1 });
  const ready = lab.core.ready();
  assert.equal(ready.mustSync, true);
  assert.deepEqual(
    ready.messages.map((one) => one.type),
    ["storage-append"],
  );
  assert.deepEqual(
    ready.messages[0]?.responses.map((one) => one.type),
    ["vote-response"],
  );
  assert.equal(ready.messages[0]?.vote, 2);
});

test("§5.2: a candidate that hears of a leader of its own term gives up", () => {
  for (const type of ["append", "heartbeat"] as const) {
    const lab = new Lab();
    lab.core.campaign();
    lab.settle();
    lab.receive(type, { from: 2, term: 1 });
    assert.equal(roleOf(lab), "follower");
    assert.equal(lab.core.leader, 2);
  }
});

test("§5.2: a candidate that a majority refuses becomes follower", () => {
  const lab = new Lab();
  lab.core.campaign();
  lab.settle();
  lab.receive("vote-response", { from: 2, term: 1, reject: true });
  assert.equal(roleOf(lab), "candidate");
  lab.receive("vote-response", { from: 3, term: 1, reject: true });
  assert.equal(roleOf(lab), "follower");
});

test("§5.2: a candidate without result starts a new election", () => {
  const lab = new Lab();
  lab.core.campaign();
  lab.settle();
  lab.tick(20);
  assert.equal(roleOf(lab), "candidate");
  assert.ok(lab.core.term >= 2);
});

test("§5.2: election timeouts are drawn anew, between one and two election ticks", () => {
  const seen = new Set<number>();
  const lab = new Lab({ voters: [1, 2, 3] });
  for (let round = 0; round < 200; round++) {
    lab.receive("heartbeat", { from: 2, term: round + 1 });
    let ticks = 0;
    while (roleOf(lab) === "follower") {
      lab.core.tick();
      ticks++;
    }
    lab.settle();
    seen.add(ticks);
    assert.ok(ticks >= 10 && ticks <= 19, String(ticks));
    lab.receive("append", { from: 2, term: lab.core.term });
  }
  assert.equal(seen.size, 10);
});

test("§5.2: heartbeats keep a follower from campaigning", () => {
  const lab = new Lab({ term: 1 });
  for (let round = 0; round < 20; round++) {
    lab.tick(9);
    lab.receive("heartbeat", { from: 2, term: 1 });
  }
  assert.equal(roleOf(lab), "follower");
  assert.equal(lab.core.term, 1);
});

test("§5.2: three servers elect one leader, and only one in a term", () => {
  const net = network(3);
  net.lab(1).core.campaign();
  net.lab(2).core.campaign();
  net.settle();
  const leaders = [1, 2, 3].filter((id) => roleOf(net.lab(id)) === "leader");
  assert.ok(leaders.length <= 1);
  net.lab(3).core.campaign();
  net.settle();
  assert.equal(roleOf(net.lab(3)), "leader");
});

// §5.3 Log replication

test("§5.3: a proposal becomes the next entry of the leader's log, in its term, and goes out at once", () => {
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

test("§5.3: a follower refuses entries whose predecessor it does not have, and hints where it may agree", () => {
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

test("§5.3: a conflicting entry and all that follow it are deleted, and the leader's taken", () => {
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

test("§5.3: a delayed, shorter append does not cut off what already matches", () => {
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

test("§5.3: a follower commits no further than what the append proves to match", () => {
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
    lab.core.step({
      ...blank,
      type: "append",
      from: 2,
      to: 1,
      term: 2,
      index: 2,
      logTerm: 1,
      entries: [entry(2, 2)],
    }),
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

test("§5.5: an append that comes twice does no harm", () => {
  const lab = new Lab({ term: 1 });
  const append = { from: 2, term: 1, index: 0, logTerm: 0, entries: [entry(1, 1)], commit: 1 };
  assert.deepEqual(lab.receive("append", append)[0]?.index, 1);
  assert.deepEqual(lab.receive("append", append)[0]?.index, 1);
  assert.deepEqual(lab.terms, [1]);
  assert.equal(lab.applied.length, 1);
});

test("§5.5: a leader tries again for ever: lost appends are found by heartbeats", () => {
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

// §6 Cluster membership

test("§6: learners get entries but neither vote nor count", () => {
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

test("§6: a removed leader does not count itself and, if told so, steps down once the change is applied", () => {
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
  lab.core.step({
    ...blank,
    type: "append",
    from: 2,
    to: 1,
    term: 1,
    index: 1,
    logTerm: 1,
    commit: 2,
    entries: [{ ...entry(1, 2), change: { transition: "auto", changes: [{ action: "voter", peer: 4 }] } }],
  });
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
  fresh.core.step({ ...blank, type: "append-response", from: 3, to: 1, term: 2, index: 3, reject: true });
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

// Dissertation §9.6 PreVote and §6.2/4.2.3 leases

test("dissertation §9.6: a pre-vote raises nobody's term and is not a vote", () => {
  const lab = new Lab({ preVote: true });
  const asked = lab.tick(20);
  assert.equal(roleOf(lab), "pre-candidate");
  assert.equal(lab.core.term, 0);
  assert.equal(asked[0]?.term, 1);
  const other = new Lab({ id: 2 });
  assert.equal(other.receive("pre-vote", { from: 1, term: 1 })[0]?.reject, false);
  assert.equal(other.core.term, 0);
  assert.equal(other.receive("vote", { from: 3, term: 1 })[0]?.reject, false);
});

test("dissertation §9.6: a majority of pre-votes leads to an election, a refusal of most to nothing", () => {
  const lab = new Lab({ preVote: true });
  lab.core.campaign();
  lab.settle();
  lab.receive("pre-vote-response", { from: 2, term: 1 });
  assert.equal(roleOf(lab), "candidate");
  assert.equal(lab.core.term, 1);
  const refused = new Lab({ preVote: true });
  refused.core.campaign();
  refused.settle();
  refused.receive("pre-vote-response", { from: 2, term: 0, reject: true });
  refused.receive("pre-vote-response", { from: 3, term: 0, reject: true });
  assert.equal(roleOf(refused), "follower");
  assert.equal(refused.core.term, 0);
});

test("dissertation §9.6: a server cut off for long does not disturb when it comes back", () => {
  const net = network(3, { preVote: true, checkQuorum: true });
  net.lab(1).core.campaign();
  net.settle();
  const { term } = net.lab(1).core;
  net.isolate(3);
  for (let ticks = 0; ticks < 100; ticks++) {
    net.lab(3).core.tick();
    net.lab(1).core.tick();
    net.settle();
  }
  net.heal();
  for (let ticks = 0; ticks < 30; ticks++) {
    for (const id of [1, 2, 3]) net.lab(id).core.tick();
    net.settle();
  }
  assert.equal(net.lab(1).core.role, "leader");
  assert.deepEqual(
    [1, 2, 3].map((id) => net.lab(id).core.term),
    [term, term, term],
  );
});

test("dissertation §6.2: a leader that hears of no quorum for an election timeout steps down", () => {
  const lab = new Lab({ checkQuorum: true });
  lab.lead();
  lab.receive("heartbeat-response", { from: 2, term: 1 });
  lab.tick(10);
  assert.equal(roleOf(lab), "leader");
  lab.tick(10);
  assert.equal(roleOf(lab), "follower");
});

test("dissertation §4.2.3: while its leader is heard of, a server ignores requests for votes", () => {
  const lab = new Lab({ checkQuorum: true, term: 1 });
  lab.receive("heartbeat", { from: 2, term: 1 });
  assert.deepEqual(lab.receive("vote", { from: 3, term: 2 }), []);
  assert.equal(lab.core.term, 1);
  lab.core.setElectionTimeout(1000);
  lab.tick(10);
  assert.equal(lab.receive("vote", { from: 3, term: 2 })[0]?.reject, false);
});

test("dissertation §3.10: a transfer's vote is not ignored, and takes a caught-up server", () => {
  const net = network(3, { checkQuorum: true, preVote: true });
  net.lab(1).core.campaign();
  net.settle();
  net.lab(1).core.transferLeader(3);
  net.settle();
  assert.equal(net.lab(3).core.role, "leader");
  assert.equal(net.lab(1).core.leader, 3);
});

const blank: Message = {
  type: "append",
  from: 0,
  to: 0,
  term: 0,
  index: 0,
  logTerm: 0,
  entries: [],
  commit: 0,
  vote: 0,
  reject: false,
  rejectHint: 0,
  context: 0,
  snapshot: undefined,
  responses: [],
};
