/**
 * Clusters under faults: partitions, restarts, leaves, and random combinations from a seed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runGossipChaos } from "./gossip-chaos.ts";
import { GossipSim } from "./gossip-sim.ts";

test("TestMembership: three members join, one leaves, and all see the expected statuses", () => {
  const sim = new GossipSim("book");
  const [zero, one, two] = [sim.add("0"), sim.add("1"), sim.add("2")];
  sim.join(one, zero);
  sim.join(two, zero);
  assert.ok(sim.runUntil(() => sim.agreed(), 10_000));
  const joins = (): number =>
    sim.observed.filter(({ by, event: notice }) => by === "0" && notice.kind === "joined").length;
  assert.equal(joins(), 3);
  let left = false;
  sim.call(two, (now) =>
    two.core.leave(now, () => {
      left = true;
    }),
  );
  assert.ok(sim.runUntil(() => left && sim.view(zero, two) === "left", 10_000));
  assert.deepEqual(
    zero.core.members().map(({ name, status }) => [name, status]),
    [
      ["0", "alive"],
      ["1", "alive"],
      ["2", "left"],
    ],
  );
  assert.equal(joins(), 3);
  const leaves = sim.observed.filter(({ by, event: notice }) => by === "0" && notice.kind === "left");
  assert.deepEqual(
    leaves.map(({ event: notice }) => "member" in notice && notice.member.name),
    ["2"],
  );
});

test("no live member is suspected after a join, and a crashed one is", () => {
  const sim = GossipSim.cluster("views", 5);
  sim.join(sim.add("late"), sim.members[2]!);
  const suspected = new Set<string>();
  for (let step = 0; step < 500; step++) {
    sim.run(20);
    for (const by of sim.members)
      for (const { name, status } of by.core.members())
        if (status === "suspect") suspected.add(`${name} by ${by.name}`);
  }
  assert.deepEqual([...suspected], []);
  sim.crash(sim.members[1]!);
  assert.ok(sim.runUntil(() => sim.view(sim.members[0]!, sim.members[1]!) === "suspect", 20_000));
});

test("two partitioned halves see each other as failed, and merge when the partition heals", (t) => {
  const sim = GossipSim.cluster("wall", 20);
  const [west, east] = [sim.members.slice(0, 10), sim.members.slice(10)];
  sim.run(30_000);
  sim.partition(west, east);
  const apart = sim.nowMs;
  const sawFailure = (): boolean =>
    west.every((one) =>
      east.every((other) => sim.view(one, other) === "failed" && sim.view(other, one) === "failed"),
    );
  assert.ok(sim.runUntil(sawFailure, 120_000));
  t.diagnostic(`each half saw the other as failed after ${((sim.nowMs - apart) / 1000).toFixed(1)} s`);
  sim.run(60_000);
  sim.heal();
  const healed = sim.nowMs;
  assert.ok(sim.runUntil(() => sim.agreed(), 180_000));
  t.diagnostic(`they agreed again ${((sim.nowMs - healed) / 1000).toFixed(1)} s after the partition healed`);
});

test("a member that can be reached only through others stays a member", () => {
  const sim = GossipSim.cluster("detour", 8);
  const [one, other] = [sim.members[2], sim.members[5]];
  assert.ok(one && other);
  sim.onSend = (from, packet) =>
    !(
      (from === one && packet.to.port === other.at.port) ||
      (from === other && packet.to.port === one.at.port)
    );
  sim.run(120_000);
  assert.deepEqual(sim.eventsOf("failed"), []);
});

test("a killed member is alive again under its name after a restart, soon or late", () => {
  for (const downMs of [10, 5_000, 60_000]) {
    const sim = GossipSim.cluster(`again ${downMs}`, 7);
    const [seed, member] = [sim.members[0], sim.members[3]];
    assert.ok(seed && member);
    sim.crash(member);
    sim.run(downMs);
    sim.restart(member);
    sim.join(member, seed);
    assert.ok(
      sim.runUntil(() => sim.agreed(), 60_000),
      `down for ${downMs} ms`,
    );
    sim.run(30_000);
    assert.ok(sim.agreed(), `down for ${downMs} ms`);
  }
});

test("a member that left can come back under its name", () => {
  const sim = GossipSim.cluster("back", 5);
  const [seed, member] = [sim.members[0], sim.members[4]];
  assert.ok(seed && member);
  sim.call(member, (now) => member.core.leave(now, () => sim.crash(member)));
  assert.ok(
    sim.runUntil(() => !member.up && sim.live.every((by) => sim.view(by, member) === "left"), 20_000),
  );
  assert.deepEqual(sim.eventsOf("failed"), []);
  sim.run(2_000);
  sim.restart(member);
  sim.join(member, seed);
  assert.ok(sim.runUntil(() => sim.agreed(), 20_000));
  sim.run(30_000);
  assert.ok(sim.agreed());
});

test("with a fifth of the datagrams lost, events are delivered once to each member, and queries get responses", () => {
  const sim = GossipSim.cluster("words", 30, { loss: 0.2, duplication: 0.2 });
  const speaker = sim.members[3];
  assert.ok(speaker);
  for (let count = 0; count < 5; count++) {
    sim.call(speaker, (now) => speaker.core.userEvent(now, "tick", Buffer.from(String(count)), false));
    sim.run(300);
  }
  assert.ok(
    sim.runUntil(() => sim.eventsOf("user-event").length === 150, 60_000),
    "some members did not get the events",
  );
  sim.run(5_000);
  assert.equal(sim.eventsOf("user-event").length, 150);

  const answers = new Set<string>();
  let done = false;
  sim.call(speaker, (now) => {
    const listener = {
      onResponse: ({ from }: { from: string }) => answers.add(from),
      onDone: () => {
        done = true;
      },
    };
    speaker.core.query(now, "who", Buffer.alloc(0), { timeoutMs: 10_000 }, listener);
  });
  const answered = new Set<string>();
  sim.runUntil(() => {
    for (const { by, event: notice } of sim.eventsOf("query")) {
      const member = sim.members.find(({ name }) => name === by);
      if (notice.kind !== "query" || member === undefined || answered.has(by)) continue;
      answered.add(by);
      sim.call(member, () => notice.query.respond(Buffer.from(by)));
    }
    return done;
  }, 20_000);
  assert.ok(answered.size >= 28, `only ${answered.size} members got the query: queries are only gossiped`);
  assert.ok(answers.size >= 18, `only ${answers.size} answers: an answer is one datagram, a fifth is lost`);
});

test("a new member learns of a broadcast that it missed from the second push/pull after its join", () => {
  const sim = GossipSim.cluster("settle", 6);
  const [seed, other] = [sim.members[0], sim.members[4]];
  assert.ok(seed && other);
  const [late, news] = [sim.add("late"), sim.add("news")];
  sim.onSend = (_from, packet) => packet.to.port !== late.at.port;
  sim.join(late, seed);
  sim.run(5);
  sim.join(news, other);
  sim.run(1_500);
  assert.equal(sim.view(late, news), undefined);
  sim.onSend = () => true;
  assert.ok(sim.runUntil(() => sim.agreed(), 2_000));
});

test("members that have been gone for long are reaped", () => {
  const sim = GossipSim.cluster("reap", 4, {}, { tombstoneMs: 60_000, reapIntervalMs: 5_000 });
  const member = sim.members[3];
  assert.ok(member);
  sim.crash(member);
  assert.ok(sim.runUntil(() => sim.live.every((by) => sim.view(by, member) === undefined), 120_000));
  assert.equal(sim.eventsOf("reaped").length, 3);
});

test("after random faults all live members agree", () => {
  for (let seed = 1; seed <= 12; seed++) runGossipChaos(seed);
});

test("the same seed gives the same history, and another seed another history", () => {
  const digests = [7, 7, 8].map((seed) => runGossipChaos(seed));
  assert.equal(digests[0], digests[1]);
  assert.notEqual(digests[0], digests[2]);
});
