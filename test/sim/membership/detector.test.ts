/**
 * The failure detector under the simulator: what it finds, how fast, at what cost; and what it must not find.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lanTiming, retransmitLimit, suspicionBounds } from "../../../src/membership/swim/timing.ts";
import { GossipSim } from "../../support/gossip-sim.ts";

test("one hundred members find each other through one of them, in spite of loss, delay and duplication", (t) => {
  const sim = GossipSim.cluster("form", 100, { loss: 0.1, duplication: 0.1, delayMs: [1, 80] });
  t.diagnostic(`100 members agreed ${(sim.nowMs / 1000 - 2).toFixed(1)} s after the last one joined`);
  assert.deepEqual(sim.eventsOf("failed"), []);
});

test("without a fault nobody is even suspected, and the idle cost is SWIM's: two messages a member a second", (t) => {
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

test("five in a hundred datagrams lost, and still nobody is taken for failed", (t) => {
  const sim = GossipSim.cluster("lossy", 60, { loss: 0.05, delayMs: [0.2, 40] });
  sim.run(180_000);
  const suspicions = sim.members.reduce((sum, { core }) => sum + core.counters.suspicions, 0);
  t.diagnostic(
    `60 members, 180 s, 5 % loss: ${suspicions} suspicions, ${sim.eventsOf("failed").length} false failures`,
  );
  assert.deepEqual(sim.eventsOf("failed"), []);
});

test("a killed member is failed for all, within the bounds of SWIM and Lifeguard", (t) => {
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
      assert.ok(done, `size ${size} seed ${seed}: somebody never saw it fail`);
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
    assert.ok(Math.min(...firsts) >= bounds.minMs * 0.95, "sooner than any suspicion may end");
    const everybodyProbed = 2 * size * lanTiming.probeIntervalMs;
    assert.ok(
      Math.max(...lasts) <= Math.min(everybodyProbed, 10_000) + bounds.maxMs,
      "later than the longest suspicion",
    );
  }
});

test("a word spreads to a hundred members in logarithmic time, each passing it on a limited number of times", (t) => {
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
    `heard by 100 members after ${(tookMs / 1000).toFixed(1)} s (about log4(100) = 3.3 rounds of 0.2 s), ` +
      `${Math.round(extra)} messages (limit ${limit})`,
  );
  assert.ok(tookMs < 5_000);
  assert.ok(extra < limit * 1.2, `${extra} messages`);
});

test("a member that stands still for three seconds is not failed, and accuses nobody when it goes on", () => {
  for (let seed = 0; seed < 10; seed++) {
    const sim = GossipSim.cluster(`pause ${seed}`, 20, { delayMs: [0.2, 10] });
    sim.run(5_000);
    const sleeper = sim.members[seed % 20];
    assert.ok(sleeper);
    sim.pause(sleeper, 3_000);
    sim.run(40_000);
    assert.deepEqual(sim.eventsOf("failed"), [], `seed ${seed}`);
    assert.equal(sleeper.core.counters.suspicions, 0, `seed ${seed}: the sleeper suspected somebody`);
    assert.ok(sim.agreed());
  }
});

test("a member that stands still for two minutes is failed, and is back by itself when it goes on", () => {
  const sim = GossipSim.cluster("long pause", 20, { delayMs: [0.2, 10] });
  const sleeper = sim.members[7];
  assert.ok(sleeper);
  sim.pause(sleeper, 120_000);
  sim.run(100_000);
  assert.ok(sim.live.every((member) => member === sleeper || sim.view(member, sleeper) === "failed"));
  assert.ok(sim.runUntil(() => sim.agreed(), 120_000));
  assert.ok(
    sim
      .eventsOf("failed")
      .every(({ event: notice }) => "member" in notice && notice.member.name === sleeper.name),
    "the sleeper took others for failed",
  );
});
