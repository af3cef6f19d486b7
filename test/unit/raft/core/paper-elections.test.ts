/**
 * One test for each rule of "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout) and of Ongaro's
 * dissertation on elections, named by the rule.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Message, message } from "../../../../src/raft/core/mod.ts";
import { Lab, network } from "../raft-lab.ts";

const roleOf = (lab: Lab): string => lab.core.role;
const typesTo = (messages: readonly Message[], type: Message["type"]): number[] =>
  messages.filter((one) => one.type === type).map((one) => one.to);

// §5.1 Raft basics

test("§5.1: a server in any role adopts a larger term", () => {
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

test("§5.2: a follower without a leader for an election timeout becomes candidate of the next term", () => {
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

test("§5.2: a candidate with the votes of a majority becomes leader", () => {
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

test("§5.2: a vote survives a restart", () => {
  const lab = new Lab();
  lab.receive("vote", { from: 2, term: 1 });
  const again = new Lab({ storage: lab.storage, ...lab.storage.hardState });
  assert.equal(again.receive("vote", { from: 3, term: 1 })[0]?.reject, true);
  assert.equal(again.receive("vote", { from: 2, term: 1 })[0]?.reject, false);
});

test("§5.2: a vote is sent only together with the hard state that stores it", () => {
  const lab = new Lab({ asyncStorage: true });
  lab.core.step(message("vote", 1, { from: 2, term: 1 }));
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

test("§5.2: a candidate becomes follower of a leader of its own term", () => {
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

test("§5.2: each election timeout is random, between one and two times electionTicks", () => {
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

// Dissertation §9.6 PreVote and §6.2/4.2.3 leases

test("dissertation §9.6: a pre-vote raises no term and is not a vote", () => {
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

test("dissertation §9.6: a majority of pre-votes starts an election, a majority of refusals does not", () => {
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

test("dissertation §9.6: a server that was disconnected for long does not disturb the leader when it returns", () => {
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

test("dissertation §6.2: a leader without a quorum for an election timeout steps down", () => {
  const lab = new Lab({ checkQuorum: true });
  lab.lead();
  lab.receive("heartbeat-response", { from: 2, term: 1 });
  lab.tick(10);
  assert.equal(roleOf(lab), "leader");
  lab.tick(10);
  assert.equal(roleOf(lab), "follower");
});

test("dissertation §4.2.3: a server with a live leader ignores requests for votes", () => {
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
