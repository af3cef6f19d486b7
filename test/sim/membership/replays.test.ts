/** Replayed messages, forged Lamport times, and hostile queries. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUserMessage } from "../../../src/membership/codec/messages.ts";
import { encodeIntent, encodeQuery } from "../../../src/membership/serf/serf-messages.ts";
import { GossipSim, type SimMember } from "./gossip-sim.ts";

function assertAllLive(sim: GossipSim): void {
  assert.ok(
    sim.runUntil(() => sim.agreed(), 90_000),
    "a member does not see all live members",
  );
  sim.run(30_000);
  assert.ok(sim.agreed());
}

test("replayed old packets change nothing", () => {
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
  assertAllLive(sim);
  assert.equal(sim.eventsOf("user-event").length, events, "an event was delivered twice");
});

test("a new member catches up with clocks that forged times moved far ahead", () => {
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
  // It restarts without a snapshot, and leaves. Its intent must be later than those about the earlier process.
  sim.crash(member);
  sim.run(5_000);
  sim.restart(member);
  sim.join(member, seed);
  assertAllLive(sim);
  assert.ok(member.core.clocks.member > 2 ** 33, "its clock stayed behind");
  sim.call(member, (now) => member.core.leave(now, () => sim.crash(member)));
  sim.run(30_000);
  assert.deepEqual(
    sim.live.map((other) => sim.view(other, member)),
    ["left", "left", "left"],
  );
});

test("a query may filter by any tag and expression, and none reaches JavaScript's engine", () => {
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
      requestsAck: false,
      noBroadcast: false,
      timeoutMs: 1_000,
      name: `by ${tag}`,
      payload: Buffer.alloc(0),
    } as const;
    sim.inject(target, [encodeUserMessage(encodeQuery(query))]);
    return query.name;
  });
  const received = sim
    .eventsOf("query")
    .flatMap(({ event: notice }) => (notice.kind === "query" ? [notice.query.name] : []));
  assert.deepEqual(received, asked.slice(0, 1));
});
