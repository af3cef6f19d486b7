/** Floods of invented members and messages: all queues and tables stay within their limits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeAlive, encodeUserMessage, protocolVersions } from "../../../src/membership/codec/messages.ts";
import { encodeIntent, encodeQuery, encodeUserEvent } from "../../../src/membership/serf/serf-messages.ts";
import { encodeTags } from "../../../src/membership/serf/tags.ts";
import { GossipSim, type SimMember } from "./gossip-sim.ts";

test("floods of names, events, queries and intents stay within the limits", () => {
  const sim = GossipSim.cluster("flood", 3);
  const target = sim.members[1] as SimMember;
  const meta = encodeTags({ x: "y".repeat(400) });
  const payload = Buffer.alloc(400);
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 30_000; count++) {
    const name = `invented-${count}`;
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
          requestsAck: true,
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
  assert.ok(target.core.counters.overflow > 29_000, "the rest was refused and counted");
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

test("thousands of invented members do not delay the detection of a dead one", () => {
  const sim = GossipSim.cluster("invented", 4);
  sim.run(10_000);
  const [target, victim] = [sim.members[0] as SimMember, sim.members[3] as SimMember];
  for (let count = 0; count < 900; count++) {
    const at = { host: "10.9.9.9", port: 1 + count };
    sim.inject(target, [
      encodeAlive({
        incarnation: 1,
        node: `invented-${count}`,
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
    "the invented members delayed the detection",
  );
  // The suspicion timeout of a thousand members, and a probe round of three, not of nine hundred.
  assert.ok(sim.nowMs - crashed < 75_000, `${sim.nowMs - crashed} ms`);
  for (const member of sim.members.slice(0, 3)) {
    assert.equal(sim.view(target, member), "alive");
    assert.ok(member.core.health.healthScore <= 1, "the silence of invented members raised the health score");
  }
});
