/** Forged names, addresses and senders. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeAlive,
  encodeIndirectPing,
  encodePing,
  protocolVersions,
} from "../../../src/membership/codec/messages.ts";
import { encodeTags } from "../../../src/membership/serf/tags.ts";
import { GossipSim, type SimMember } from "./gossip-sim.ts";

function assertAllLive(sim: GossipSim): void {
  assert.ok(
    sim.runUntil(() => sim.agreed(), 90_000),
    "a member does not see all live members",
  );
  sim.run(30_000);
  assert.ok(sim.agreed());
}

test("a claim of a name by another address is reported, and ignored while the owner is live", () => {
  const sim = GossipSim.cluster("conflict", 4);
  const victim = sim.members[2];
  assert.ok(victim);
  for (let turn = 0; turn < 50; turn++) {
    for (const target of sim.members) {
      const at = { host: "6.6.6.6", port: 666 };
      sim.inject(target, [
        encodeAlive({
          incarnation: 9 + turn,
          node: victim.name,
          at,
          meta: encodeTags({}),
          versions: protocolVersions,
        }),
      ]);
    }
    sim.run(100);
  }
  const conflicts = sim.eventsOf("conflict");
  assert.equal(conflicts.length, 4, "one event per member, not one per packet");
  const [first] = conflicts;
  assert.ok(first?.event.kind === "conflict");
  assert.deepEqual(
    [first.event.name, first.event.known, first.event.claimed],
    [victim.name, victim.at, { host: "6.6.6.6", port: 666 }],
  );
  assert.ok(sim.members.every(({ core }) => core.counters.conflicts === 50));
  assertAllLive(sim);
});

test("a claim with an unspecified, multicast or broadcast address does not block a new member's name", () => {
  const sim = GossipSim.cluster("squatters", 3);
  const hosts = ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"];
  hosts.forEach((host, turn) => {
    const node = `new-${turn}`;
    for (const target of sim.members) {
      const at = { host, port: 4 + turn };
      sim.inject(target, [
        encodeAlive({ incarnation: 1, node, at, meta: encodeTags({}), versions: protocolVersions }),
      ]);
    }
    sim.join(sim.add(node), sim.members[0] as SimMember);
    assert.ok(
      sim.runUntil(() => sim.agreed(), 20_000),
      `${node} is kept out by ${host}`,
    );
  });
  assert.deepEqual(sim.eventsOf("conflict"), []);
  // No packet is sent to such an address either.
  const sent: string[] = [];
  sim.onSend = (_from, packet) => {
    sent.push(packet.to.host);
    return true;
  };
  const multicast = { host: "224.0.0.1", port: 5 };
  sim.inject(sim.members[0] as SimMember, [
    encodePing(1, "", { name: "x", ...multicast }),
    encodeIndirectPing(1, "x", multicast, { name: "x", host: "10.0.0.1", port: 2 }),
  ]);
  sim.run(2_000);
  assert.ok(sent.length > 0 && !sent.includes(multicast.host));
});

test("a ping from an unknown address gets an ack without piggybacked broadcasts", () => {
  const sim = GossipSim.cluster("unknown", 3);
  const target = sim.members[0] as SimMember;
  sim.call(target, (now) => target.core.userEvent(now, "secret", Buffer.alloc(400), false));
  const sent: number[] = [];
  sim.onSend = (_from, packet) => {
    if (packet.to.port === 666) sent.push(packet.parts.length);
    return true;
  };
  sim.inject(target, [encodePing(7, target.name, { name: "m1", host: "6.6.6.6", port: 666 })]);
  assert.deepEqual(sent, [1]);
});

test("a name with control characters is malformed", () => {
  const sim = GossipSim.cluster("lines", 2);
  const target = sim.members[0] as SimMember;
  for (const node of ["a\nalive: evil 6.6.6.6:6", "\u001b[2J", "a\u2028b", "a\u0000"]) {
    const at = { host: "10.0.0.9", port: 9 };
    sim.inject(target, [
      encodeAlive({ incarnation: 1, node, at, meta: encodeTags({}), versions: protocolVersions }),
    ]);
  }
  assert.equal(target.core.members().length, 2);
  assert.equal(target.core.counters.malformed, 4);
});
