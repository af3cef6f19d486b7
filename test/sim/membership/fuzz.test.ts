/** Arbitrary bytes in datagrams and streams. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { prng } from "../../../src/lib/prng.ts";
import { Keyring } from "../../../src/membership/codec/keyring.ts";
import {
  encodeAlive,
  encodePing,
  encodeSuspectOrDead,
  encodeUserMessage,
  protocolVersions,
} from "../../../src/membership/codec/messages.ts";
import { decodePacket, encodePacket, type WireOptions } from "../../../src/membership/codec/packet.ts";
import { encodePushPull } from "../../../src/membership/codec/push-pull.ts";
import { StreamReader } from "../../../src/membership/codec/stream.ts";
import { encodeIntent, encodeUserEvent } from "../../../src/membership/serf/serf-messages.ts";
import { encodeSerfState } from "../../../src/membership/serf/serf-state.ts";
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

test("any datagram is handled or refused with a Fault", () => {
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

test("random bytes encrypted with the right key do no harm", () => {
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
  assertAllLive(sim);
});
