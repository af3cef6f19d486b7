/**
 * Datagrams and streams of an attacker who needs no key: forged, fuzzed, flooding. Members stay up, stay small, and
 * stay in the cluster.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { prng } from "../../../src/lib/prng.ts";
import { Keyring } from "../../../src/membership/codec/keyring.ts";
import {
  encodeAlive,
  encodeIndirectPing,
  encodePing,
  encodeSuspectOrDead,
  encodeUserMessage,
  protocolVersions,
} from "../../../src/membership/codec/messages.ts";
import { decodePacket, encodePacket, type WireOptions } from "../../../src/membership/codec/packet.ts";
import { encodePushPull } from "../../../src/membership/codec/push-pull.ts";
import { StreamReader } from "../../../src/membership/codec/stream.ts";
import { encodeIntent, encodeQuery, encodeUserEvent } from "../../../src/membership/serf/serf-messages.ts";
import { encodeSerfState } from "../../../src/membership/serf/serf-state.ts";
import { encodeTags } from "../../../src/membership/serf/tags.ts";
import { GossipSim, type SimMember } from "../../support/gossip-sim.ts";

const incarnations = [0, 1, 2, 5, 1_000, 2 ** 24, 2 ** 31 - 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

function live(sim: GossipSim): void {
  assert.ok(
    sim.runUntil(() => sim.agreed(), 90_000),
    "a live member is gone for somebody",
  );
  sim.run(30_000);
  assert.ok(sim.agreed());
}

test("forged suspicions and deaths, of any incarnation and in anybody's name, do not evict a live member", () => {
  const sim = GossipSim.cluster("forged", 7);
  for (const incarnation of incarnations) {
    for (const [at, victim] of sim.members.entries()) {
      const from = (sim.members[(at + 3) % 7] as SimMember).name;
      for (const target of sim.members) {
        sim.inject(target, [
          encodeSuspectOrDead({ kind: "suspect", incarnation, node: victim.name, from }),
          encodeSuspectOrDead({ kind: "suspect", incarnation, node: victim.name, from: "nobody" }),
          encodeSuspectOrDead({ kind: "dead", incarnation, node: victim.name, from }),
          encodeSuspectOrDead({ kind: "dead", incarnation, node: victim.name, from: victim.name }),
        ]);
      }
    }
    sim.run(2_000);
  }
  assert.deepEqual(sim.eventsOf("failed"), []);
  assert.deepEqual(sim.eventsOf("left"), []);
  live(sim);
});

test("a force-leave of a live member, and a forged leave of it, are refuted", () => {
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
    live(sim);
  }
  // To one member alone, that believes it with the intent before it: it asks, and the victim takes it back.
  for (const target of sim.members.filter((member) => member !== victim)) {
    sim.inject(target, [
      encodeUserMessage(encodeIntent({ kind: "leave", lTime: 2 ** 20, node: victim.name, prune: false })),
      encodeSuspectOrDead({ kind: "dead", incarnation: 500, node: victim.name, from: victim.name }),
    ]);
    live(sim);
  }
  for (const kind of ["left", "failed", "reaped"] as const) assert.deepEqual(sim.eventsOf(kind), [], kind);
});

test("a name claimed for another address is reported, and ignored while its owner lives", () => {
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
  assert.equal(conflicts.length, 4, "one notice a member, not one a packet");
  const [first] = conflicts;
  assert.ok(first?.event.kind === "conflict");
  assert.deepEqual(
    [first.event.name, first.event.known, first.event.claimed],
    [victim.name, victim.at, { host: "6.6.6.6", port: 666 }],
  );
  assert.ok(sim.members.every(({ core }) => core.counters.conflicts === 50));
  live(sim);
});

test("an address that is everybody's or nobody's takes no newcomer's name", () => {
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
  // Nor do we speak to all of a network for anybody.
  const sent: string[] = [];
  sim.onSend = (_from, packet) => {
    sent.push(packet.to.host);
    return true;
  };
  const everybody = { host: "224.0.0.1", port: 5 };
  sim.inject(sim.members[0] as SimMember, [
    encodePing(1, "", { name: "x", ...everybody }),
    encodeIndirectPing(1, "x", everybody, { name: "x", host: "10.0.0.1", port: 2 }),
  ]);
  sim.run(2_000);
  assert.ok(sent.length > 0 && !sent.includes(everybody.host));
});

test("forged tags of a live member are taken back by its owner", () => {
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

test("replayed packets of an hour ago change nothing", () => {
  const sim = GossipSim.cluster("replay", 5);
  const kept: Buffer[][] = [];
  sim.onSend = (_from, packet) => {
    if (kept.length < 2_000) kept.push([...packet.parts]);
    return true;
  };
  const [seed, leaver] = [sim.members[0], sim.members[4]];
  assert.ok(seed && leaver);
  sim.call(leaver, (now) => leaver.core.leave(now, () => sim.crash(leaver)));
  sim.call(seed, (now) => seed.core.userEvent(now, "once", Buffer.alloc(0), false));
  sim.run(10_000);
  sim.restart(leaver);
  sim.join(leaver, seed);
  sim.run(60_000);
  sim.onSend = () => true;
  assert.ok(sim.agreed());
  const events = sim.eventsOf("user-event").length;
  for (const parts of kept) for (const target of sim.members) sim.inject(target, parts);
  live(sim);
  assert.equal(sim.eventsOf("user-event").length, events, "an event was delivered twice");
});

test("clocks that forged times drove far ahead leave no newcomer behind", () => {
  const sim = GossipSim.cluster("leaps", 4);
  const [seed, member] = [sim.members[0] as SimMember, sim.members[1] as SimMember];
  for (const lTime of [1, 2, 3].map((leaps) => leaps * (2 ** 32 - 10))) {
    for (const target of sim.members) {
      sim.inject(target, [
        encodeUserMessage(encodeIntent({ kind: "join", lTime, node: member.name, prune: false })),
      ]);
    }
    sim.run(1_000);
  }
  assert.ok(seed.core.clocks.member > 2 ** 33);
  // It comes back without a snapshot, and leaves: its word must be later than those about its former life.
  sim.crash(member);
  sim.run(5_000);
  sim.restart(member);
  sim.join(member, seed);
  live(sim);
  assert.ok(member.core.clocks.member > 2 ** 33, "it stayed behind");
  sim.call(member, (now) => member.core.leave(now, () => sim.crash(member)));
  sim.run(30_000);
  assert.deepEqual(
    sim.live.map((other) => sim.view(other, member)),
    ["left", "left", "left"],
  );
});

test("a query may filter by any tag and any expression; none of them is our engine's business", () => {
  const sim = GossipSim.cluster("filters", 2);
  const target = sim.members[0] as SimMember;
  const asked = ["n", "constructor", "__proto__", "toString", ""].map((tag, at) => {
    const query = {
      kind: "query",
      lTime: 5 + at,
      id: at,
      at: { host: "6.6.6.6", port: 6 },
      from: "x",
      filters: [{ kind: "tag", tag, expression: tag === "n" ? "m0" : "^(a*)*[^a]+$" }],
      wantsAck: false,
      noBroadcast: false,
      timeoutMs: 1_000,
      name: `by ${tag}`,
      payload: Buffer.alloc(0),
    } as const;
    sim.inject(target, [encodeUserMessage(encodeQuery(query))]);
    return query.name;
  });
  const heard = sim
    .eventsOf("query")
    .flatMap(({ event: notice }) => (notice.kind === "query" ? [notice.query.name] : []));
  assert.deepEqual(heard, asked.slice(0, 1));
});

test("a stranger's ping is answered with an ack and nothing more, however much there is to tell", () => {
  const sim = GossipSim.cluster("stranger", 3);
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

test("a name with control characters is no name", () => {
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

test("floods of new names, events, queries and intents fill nothing up", () => {
  const sim = GossipSim.cluster("flood", 3);
  const target = sim.members[1] as SimMember;
  const meta = encodeTags({ x: "y".repeat(400) });
  const payload = Buffer.alloc(400);
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 30_000; count++) {
    const name = `ghost-${count}`;
    const at = { host: "10.9.9.9", port: 1 + (count % 60_000) };
    sim.inject(target, [
      encodeAlive({ incarnation: 1, node: name, at, meta, versions: protocolVersions }),
      encodeUserMessage(
        encodeIntent({
          kind: count % 2 === 0 ? "leave" : "join",
          lTime: 5 + count,
          node: name,
          prune: false,
        }),
      ),
      encodeUserMessage(
        encodeUserEvent({ kind: "user-event", lTime: 5 + (count % 700), name, payload, coalesce: false }),
      ),
      encodeUserMessage(
        encodeQuery({
          kind: "query",
          lTime: 5 + (count % 700),
          id: count,
          at,
          from: name,
          filters: [],
          wantsAck: true,
          noBroadcast: false,
          timeoutMs: 1e9,
          name: "q",
          payload,
        }),
      ),
    ]);
    if (count % 1_000 === 0) sim.observed.length = 0;
  }
  assert.ok(target.core.members().length <= 1_000);
  assert.ok(target.core.counters.overflow > 29_000, "the rest was refused, and counted");
  assert.ok(target.core.health.queuedBroadcasts <= 8_192 + 1_024 + 512 + 1_024);
  globalThis.gc?.();
  const grownMiB = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  assert.ok(grownMiB < 200, `the heap grew by ${grownMiB.toFixed(0)} MiB`);
  const mates = new Set(sim.members.map(({ name }) => name));
  assert.equal(
    target.core.members().filter(({ name, status }) => mates.has(name) && status === "alive").length,
    3,
  );
});

test("thousands of names that never were do not keep us from noticing that a member died", () => {
  const sim = GossipSim.cluster("ghosts", 4);
  sim.run(10_000);
  const [target, victim] = [sim.members[0] as SimMember, sim.members[3] as SimMember];
  for (let count = 0; count < 900; count++) {
    const at = { host: "10.9.9.9", port: 1 + count };
    sim.inject(target, [
      encodeAlive({
        incarnation: 1,
        node: `ghost-${count}`,
        at,
        meta: encodeTags({}),
        versions: protocolVersions,
      }),
    ]);
  }
  assert.ok(target.core.members().length > 900);
  sim.crash(victim);
  const crashed = sim.nowMs;
  assert.ok(
    sim.runUntil(() => sim.view(target, victim) === "failed", 90_000),
    "the ghosts kept it alive",
  );
  // Bounds of a suspicion among a thousand, and a round of three, not of nine hundred.
  assert.ok(sim.nowMs - crashed < 75_000, `${sim.nowMs - crashed} ms`);
  for (const member of sim.members.slice(0, 3)) {
    assert.equal(sim.view(target, member), "alive");
    assert.ok(member.core.health.healthScore <= 1, "it doubts itself, because ghosts are silent");
  }
});

test("no datagram, whatever its bytes, does more than be counted", () => {
  const chance = prng("fuzz");
  const sim = GossipSim.cluster("fuzz", 3);
  const target = sim.members[0] as SimMember;
  const plain: WireOptions = { keyring: undefined, label: "" };
  const at = { host: "10.0.0.1", port: 1 };
  const state = {
    lTime: 9,
    statusLTimes: new Map([["m1", 3]]),
    left: ["m2"],
    eventLTime: 4,
    events: [],
    queryLTime: 2,
  };
  const samples = [
    encodePing(1, "m0", { name: "m1", ...at }),
    encodeSuspectOrDead({ kind: "dead", incarnation: 1, node: "m1", from: "m2" }),
    encodeAlive({ incarnation: 2, node: "m1", at, meta: encodeTags({ a: "b" }), versions: protocolVersions }),
    encodeUserMessage(encodeIntent({ kind: "leave", lTime: 3, node: "m1", prune: false })),
    encodeUserMessage(
      encodeUserEvent({ kind: "user-event", lTime: 3, name: "e", payload: Buffer.from("p"), coalesce: true }),
    ),
    encodePacket(
      [encodePing(1, "m0", { name: "m1", ...at }), encodeUserMessage(Buffer.from("x"))],
      plain,
      true,
    ),
    encodePushPull({ join: true, nodes: [], userState: encodeSerfState(state) }),
  ];
  let [understood, refused] = [0, 0];
  for (let count = 0; count < 40_000; count++) {
    const bytes = Buffer.from(chance.pick(samples));
    for (let flips = chance.between(1, 4); flips > 0; flips--)
      bytes[chance.between(0, bytes.length - 1)] = chance.between(0, 255);
    const datagram = chance.chance(0.3) ? bytes.subarray(0, chance.between(0, bytes.length)) : bytes;
    try {
      sim.inject(target, decodePacket(datagram, plain));
      const message = new StreamReader(plain, 65_536).push(datagram);
      if (message !== undefined) sim.call(target, (now) => target.core.handleStream(now, at, message));
      understood++;
    } catch (reason) {
      assert.ok(reason instanceof Fault, String(reason));
      refused++;
    }
  }
  assert.ok(understood > 1_000 && refused > 1_000, `${understood} understood, ${refused} refused`);
  assert.ok(target.core.counters.malformed > 1_000);
});

test("random bytes under the right key are as harmless as under none", () => {
  const chance = prng("keyed");
  const wrapping: WireOptions = {
    keyring: new Keyring([Buffer.alloc(32, 1).toString("base64")], randomBytes),
    label: "",
  };
  const sim = GossipSim.cluster("keyed", 2);
  const target = sim.members[0] as SimMember;
  for (let count = 0; count < 5_000; count++) {
    const bytes = Buffer.from(Array.from({ length: chance.between(1, 80) }, () => chance.between(0, 255)));
    bytes[0] = chance.between(0, 13);
    try {
      sim.inject(target, decodePacket(encodePacket([bytes], wrapping, false), wrapping));
    } catch (reason) {
      assert.ok(reason instanceof Fault, String(reason));
    }
  }
  live(sim);
});

test("an incarnation that nobody can outbid keeps neither forged tags nor its member in the grave", () => {
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
    // A newcomer believes what it is told of a member that it does not know.
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
      `${top}: it stays buried`,
    );
    live(sim);
  }
});

test("a forged death is not believed for the loss of a datagram", () => {
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
  live(sim);
});

test("a forged death of a member that is busy for two seconds does not evict it", () => {
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
  live(sim);
});
