/** Forged alive, suspect and dead messages: no live member is evicted, renamed or changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeAlive,
  encodeSuspectOrDead,
  encodeUserMessage,
  protocolVersions,
} from "../../../src/membership/codec/messages.ts";
import { encodeIntent } from "../../../src/membership/serf/serf-messages.ts";
import { encodeTags } from "../../../src/membership/serf/tags.ts";
import { GossipSim, type SimMember } from "./gossip-sim.ts";

const incarnations = [0, 1, 2, 5, 1_000, 2 ** 24, 2 ** 31 - 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

function assertAllLive(sim: GossipSim): void {
  assert.ok(
    sim.runUntil(() => sim.agreed(), 90_000),
    "a member does not see all live members",
  );
  sim.run(30_000);
  assert.ok(sim.agreed());
}

test("forged suspect and dead messages, of any incarnation and sender, do not evict a live member", () => {
  const sim = GossipSim.cluster("forged", 7);
  for (const incarnation of incarnations) {
    for (const [at, victim] of sim.members.entries()) {
      const from = (sim.members[(at + 3) % 7] as SimMember).name;
      for (const target of sim.members) {
        sim.inject(target, [
          encodeSuspectOrDead({ kind: "suspect", incarnation, node: victim.name, from }),
          encodeSuspectOrDead({ kind: "suspect", incarnation, node: victim.name, from: "unknown" }),
          encodeSuspectOrDead({ kind: "dead", incarnation, node: victim.name, from }),
          encodeSuspectOrDead({ kind: "dead", incarnation, node: victim.name, from: victim.name }),
        ]);
      }
    }
    sim.run(2_000);
  }
  assert.deepEqual(sim.eventsOf("failed"), []);
  assert.deepEqual(sim.eventsOf("left"), []);
  assertAllLive(sim);
});

test("a force-leave and a forged leave of a live member are refuted", () => {
  const sim = GossipSim.cluster("force", 5);
  const [attacker, victim] = [sim.members[0], sim.members[3]];
  assert.ok(attacker && victim);
  sim.call(attacker, (now) => attacker.core.forceLeave(now, victim.name, true));
  sim.run(3_000);
  assert.ok(sim.agreed(), "still leaving");
  assert.deepEqual(sim.eventsOf("left"), []);
  for (const lTime of [1, 1_000, 2 ** 40, 2 ** 47]) {
    for (const target of sim.members) {
      sim.inject(target, [
        encodeUserMessage(encodeIntent({ kind: "leave", lTime, node: victim.name, prune: true })),
        encodeSuspectOrDead({ kind: "dead", incarnation: 50, node: victim.name, from: victim.name }),
      ]);
    }
    assertAllLive(sim);
  }
  // Sent to one member only, which accepts it after the intent. It pings the victim, and the victim refutes it.
  for (const target of sim.members.filter((member) => member !== victim)) {
    sim.inject(target, [
      encodeUserMessage(encodeIntent({ kind: "leave", lTime: 2 ** 20, node: victim.name, prune: false })),
      encodeSuspectOrDead({ kind: "dead", incarnation: 500, node: victim.name, from: victim.name }),
    ]);
    assertAllLive(sim);
  }
  for (const kind of ["left", "failed", "reaped"] as const) assert.deepEqual(sim.eventsOf(kind), [], kind);
});

test("a member refutes forged tags about itself", () => {
  const sim = GossipSim.cluster("tags", 4);
  const [target, victim] = [sim.members[0], sim.members[2]];
  assert.ok(target && victim);
  const meta = encodeTags({ cluster: "evil" });
  sim.inject(target, [
    encodeAlive({ incarnation: 40, node: victim.name, at: victim.at, meta, versions: protocolVersions }),
  ]);
  assert.equal(target.core.members().find(({ name }) => name === victim.name)?.tags["cluster"], "evil");
  sim.run(10_000);
  for (const by of sim.members) {
    assert.deepEqual(by.core.members().find(({ name }) => name === victim.name)?.tags, { n: victim.name });
  }
});

test("the highest incarnation makes neither forged tags nor a forged death permanent", () => {
  const sim = GossipSim.cluster("ceiling", 5);
  const [first, victim] = [sim.members[0] as SimMember, sim.members[2] as SimMember];
  for (const top of [2 ** 31 - 1, 2 ** 31 - 2 ** 20 - 1]) {
    const forged = encodeAlive({
      incarnation: top,
      node: victim.name,
      at: victim.at,
      meta: encodeTags({ forged: "yes" }),
      versions: protocolVersions,
    });
    // A new member accepts any incarnation of an unknown member.
    const newcomer = sim.add(`new-${top}`);
    for (const target of [newcomer, ...sim.members]) sim.inject(target, [forged]);
    sim.join(newcomer, first);
    const tagsOf = (by: SimMember): string[] =>
      by.core
        .members()
        .filter(({ name }) => name === victim.name)
        .flatMap(({ tags }) => Object.keys(tags));
    const honest = (): boolean => sim.members.every((member) => tagsOf(member).join() === "n");
    assert.ok(sim.runUntil(honest, 600_000), `${top}: the forged tags stay`);

    const others = sim.members.filter((member) => member !== victim);
    sim.partition(others, [victim]);
    for (const target of others) {
      const accusation = { incarnation: top, node: victim.name, from: first.name };
      sim.inject(target, [forged, encodeSuspectOrDead({ kind: "dead", ...accusation })]);
    }
    assert.ok(sim.runUntil(() => others.every((member) => sim.view(member, victim) === "failed"), 60_000));
    sim.heal();
    assert.ok(
      sim.runUntil(() => sim.agreed(), 120_000),
      `${top}: it stays failed`,
    );
    assertAllLive(sim);
  }
});

test("packet loss does not make a forged dead message succeed", () => {
  const sim = GossipSim.cluster("lossy", 6, { loss: 0.4 });
  for (let turn = 0; turn < 60; turn++) {
    const victim = sim.members[turn % 6] as SimMember;
    for (const target of sim.members) {
      const from = (sim.members[(turn + 1) % 6] as SimMember).name;
      const accusation = { incarnation: 2 + turn, node: victim.name, from };
      sim.inject(target, [encodeSuspectOrDead({ kind: "dead", ...accusation })]);
    }
    sim.run(2_000);
  }
  assert.deepEqual(sim.eventsOf("failed"), []);
  assertAllLive(sim);
});

test("a forged dead message about a member that is busy for two seconds does not evict it", () => {
  const sim = GossipSim.cluster("busy", 5);
  for (let turn = 0; turn < 20; turn++) {
    const victim = sim.members[turn % 5] as SimMember;
    sim.pause(victim, 2_000);
    for (const target of sim.members.filter((member) => member !== victim)) {
      const from = (sim.members[(turn + 1) % 5] as SimMember).name;
      const accusation = { incarnation: 2 + turn, node: victim.name, from };
      sim.inject(target, [
        encodeSuspectOrDead({ kind: "suspect", ...accusation }),
        encodeSuspectOrDead({ kind: "dead", ...accusation }),
      ]);
    }
    sim.run(5_000);
  }
  assert.deepEqual(sim.eventsOf("failed"), []);
  assertAllLive(sim);
});
