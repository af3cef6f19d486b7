/**
 * The failure detector in the simulator: how fast it finds failures, at what cost, and without false failures.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lanTiming, retransmitLimit, suspicionBounds } from "../../../src/membership/swim/timing.ts";
import { GossipSim } from "./gossip-sim.ts";

test("one hundred members join through one of them despite loss, delay and duplication", (t) => {
  const sim = GossipSim.cluster("form", 100, { loss: 0.1, duplication: 0.1, delayMs: [1, 80] });
  t.diagnostic(`100 members agreed ${(sim.nowMs / 1000 - 2).toFixed(1)} s after the last one joined`);
  assert.deepEqual(sim.eventsOf("failed"), []);
});

test("without faults no member is suspected, and an idle member sends two messages per second, as SWIM predicts", (t) => {
  for (const size of [3, 30, 100]) {
    const sim = GossipSim.cluster(`quiet ${size}`, size, { duplication: 0.05, delayMs: [0.2, 40] });
    sim.run(15_000);
    const [packets, messages] = [sim.packets, sim.messages];
    sim.run(120_000);
    const each = (sim.packets - packets) / size / 120;
    t.diagnostic(
      `${size} members: ${each.toFixed(2)} datagrams, ${((sim.messages - messages) / size / 120).toFixed(2)} messages a member a second (SWIM: 2)`,
    );
    assert.deepEqual(sim.eventsOf("failed"), []);
    assert.equal(
      sim.members.reduce((sum, { core }) => sum + core.counters.suspicions, 0),
      0,
    );
    assert.ok(each > 1.9 && each < 2.1, `${each} datagrams`);
  }
});

test("with 5 % packet loss no member is seen as failed", (t) => {
  const sim = GossipSim.cluster("lossy", 60, { loss: 0.05, delayMs: [0.2, 40] });
  sim.run(180_000);
  const suspicions = sim.members.reduce((sum, { core }) => sum + core.counters.suspicions, 0);
  t.diagnostic(
    `60 members, 180 s, 5 % loss: ${suspicions} suspicions, ${sim.eventsOf("failed").length} false failures`,
  );
  assert.deepEqual(sim.eventsOf("failed"), []);
});

test("a killed member fails for all members within the bounds of SWIM and Lifeguard", (t) => {
  for (const size of [2, 3, 10, 100]) {
    const bounds = suspicionBounds(lanTiming, size);
    const firsts: number[] = [];
    const lasts: number[] = [];
    const rounds = size === 100 ? 2 : 8;
    for (let seed = 0; seed < rounds; seed++) {
      const sim = GossipSim.cluster(`kill ${size} ${seed}`, size, { delayMs: [0.2, 10] });
      sim.run(3_000 + seed * 137);
      const victim = sim.members[seed % size];
      assert.ok(victim);
      sim.crash(victim);
      const killed = sim.nowMs;
      const done = sim.runUntil(
        () => sim.live.every((member) => sim.view(member, victim) === "failed"),
        120_000,
      );
      assert.ok(done, `size ${size} seed ${seed}: a member never saw it fail`);
      const times = sim.eventsOf("failed").map(({ atMs }) => atMs - killed);
      assert.ok(
        sim
          .eventsOf("failed")
          .every(({ event: notice }) => "member" in notice && notice.member.name === victim.name),
      );
      firsts.push(Math.min(...times));
      lasts.push(Math.max(...times));
    }
    const mean = (list: number[]): string =>
      (list.reduce((sum, one) => sum + one, 0) / list.length / 1000).toFixed(1);
    const seconds = (ms: number): string => (ms / 1000).toFixed(1);
    t.diagnostic(
      `${size} members: first to know after ${mean(firsts)} s, last after ${mean(lasts)} s on average ` +
        `(predicted: suspected after about ${(1.58 + 1).toFixed(1)} s, then ${seconds(bounds.minMs)} s` +
        `${bounds.confirmations === 0 ? "" : ` to ${seconds(bounds.maxMs)} s, less with confirmations`})`,
    );
    assert.ok(Math.min(...firsts) >= bounds.minMs * 0.95, "earlier than the shortest suspicion");
    const allProbed = 2 * size * lanTiming.probeIntervalMs;
    assert.ok(
      Math.max(...lasts) <= Math.min(allProbed, 10_000) + bounds.maxMs,
      "later than the longest suspicion",
    );
  }
});

test("an event reaches a hundred members in logarithmic time with a limited number of messages", (t) => {
  const sim = GossipSim.cluster("spread", 100, { delayMs: [0.2, 5] });
  sim.run(20_000);
  const [start, before] = [sim.nowMs, sim.messages];
  const speaker = sim.members[42];
  assert.ok(speaker);
  sim.call(speaker, (now) => speaker.core.userEvent(now, "deploy", Buffer.from("v2"), false));
  assert.ok(sim.runUntil(() => sim.eventsOf("user-event").length === 100, 20_000));
  const tookMs = sim.nowMs - start;
  sim.run(10_000);
  assert.equal(sim.eventsOf("user-event").length, 100, "delivered once each");
  const idle = ((sim.nowMs - start) / 1000) * 2 * 100;
  const extra = sim.messages - before - idle;
  const limit = 100 * retransmitLimit(lanTiming, 100) * lanTiming.gossipNodes;
  t.diagnostic(
    `100 members got the event after ${(tookMs / 1000).toFixed(1)} s (about log4(100) = 3.3 rounds of 0.2 s), ` +
      `${Math.round(extra)} messages (limit ${limit})`,
  );
  assert.ok(tookMs < 5_000);
  assert.ok(extra < limit * 1.2, `${extra} messages`);
});

test("a member that is paused for three seconds does not fail, and suspects no other when it resumes", () => {
  for (let seed = 0; seed < 10; seed++) {
    const sim = GossipSim.cluster(`pause ${seed}`, 20, { delayMs: [0.2, 10] });
    sim.run(5_000);
    const paused = sim.members[seed % 20];
    assert.ok(paused);
    sim.pause(paused, 3_000);
    sim.run(40_000);
    assert.deepEqual(sim.eventsOf("failed"), [], `seed ${seed}`);
    assert.equal(paused.core.counters.suspicions, 0, `seed ${seed}: the paused member suspected another`);
    assert.ok(sim.agreed());
  }
});

test("a member that is paused for two minutes fails, and is alive again when it resumes", () => {
  const sim = GossipSim.cluster("long pause", 20, { delayMs: [0.2, 10] });
  const paused = sim.members[7];
  assert.ok(paused);
  sim.pause(paused, 120_000);
  sim.run(100_000);
  assert.ok(sim.live.every((member) => member === paused || sim.view(member, paused) === "failed"));
  assert.ok(sim.runUntil(() => sim.agreed(), 120_000));
  assert.ok(
    sim
      .eventsOf("failed")
      .every(({ event: notice }) => "member" in notice && notice.member.name === paused.name),
    "the paused member saw others as failed",
  );
});
