/**
 * Membership and the real `serf` agent on loopback, when members die and datagrams are lost.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../src/lib/prng.ts";
import { lanTiming } from "../../../src/membership/swim/timing.ts";
import { freePort } from "../../support/process/free-port.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";
import { lossyRelay, lossyTransport } from "./lossy-relay.ts";
import { startAgent, startMember, statusOf } from "./serf-agent.ts";

const serf = requireProgram("serf");

test(
  "a killed agent fails and is alive again after a restart, and so does a member for the agent",
  serf,
  async (t) => {
    const ours = await startMember(t, { name: "ours", timing: lanTiming });
    const agent = await startAgent(t, { name: "theirs", directory: scratch(t), join: [ours.addr] });
    await until("theirs is alive for ours", () => statusOf(ours.member, "theirs") === "alive");
    const killed = Date.now();
    await agent.kill("SIGKILL");
    await until("theirs is failed for ours", () => statusOf(ours.member, "theirs") === "failed");
    t.diagnostic(`a killed agent was failed for us after ${((Date.now() - killed) / 1000).toFixed(1)} s`);
    await agent.start();
    await until("theirs is alive for ours", () => statusOf(ours.member, "theirs") === "alive");
    await until("ours is alive for agent", async () => (await agent.member("ours"))?.status === "alive");

    const { port } = ours.member.at;
    const died = Date.now();
    await ours.member[Symbol.asyncDispose]();
    await until("ours is failed for agent", async () => (await agent.member("ours"))?.status === "failed");
    t.diagnostic(
      `a killed member of ours was failed for the agent after ${((Date.now() - died) / 1000).toFixed(1)} s`,
    );
    const again = await startMember(t, { name: "ours", port, timing: lanTiming });
    await again.member.join([agent.addr]);
    await until("ours is alive for agent", async () => (await agent.member("ours"))?.status === "alive");
    assert.equal(statusOf(again.member, "theirs"), "alive");
  },
);

test("three agents and three members agree with a fifth of all datagrams lost", serf, async (t) => {
  const chance = prng("lossy six");
  const directory = scratch(t);
  const loss = 0.2;
  const first = await startMember(t, {
    name: "o0",
    timing: lanTiming,
    openTransport: lossyTransport(loss, chance.stream("o0")),
  });
  const [agents, ours, relays] = [[], [first], []] as [
    Awaited<ReturnType<typeof startAgent>>[],
    (typeof first)[],
    Awaited<ReturnType<typeof lossyRelay>>[],
  ];
  for (const at of [0, 1, 2]) {
    const port = await freePort();
    const relay = await lossyRelay(t, port, loss, chance.stream(`a${at}`));
    relays.push(relay);
    const seeds = [relays[0]?.addr ?? "", first.addr].slice(at === 0 ? 1 : 0, at === 0 ? 2 : 1);
    agents.push(await startAgent(t, { name: `a${at}`, directory, port, advertise: relay.addr, join: seeds }));
  }
  for (const at of [1, 2]) {
    const openTransport = lossyTransport(loss, chance.stream(`o${at}`));
    const next = await startMember(t, { name: `o${at}`, timing: lanTiming, openTransport });
    await next.member.join([at === 1 ? (relays[2]?.addr ?? "") : first.addr]);
    ours.push(next);
  }
  const all = ["a0", "a1", "a2", "o0", "o1", "o2"];
  const agreed = async (): Promise<boolean> => {
    for (const { member } of ours) if (!all.every((name) => statusOf(member, name) === "alive")) return false;
    for (const agent of agents) {
      const alive = (await agent.members())
        .filter(({ status }) => status === "alive")
        .map(({ name }) => name);
      if (!all.every((name) => alive.includes(name))) return false;
    }
    return true;
  };
  const started = Date.now();
  await until("all six members agree", agreed);
  t.diagnostic(`six members agreed after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  await until("all six members agree", agreed);
  for (const { events } of ours)
    assert.deepEqual(
      events.filter(({ kind }) => kind === "failed"),
      [],
    );
  const dropped = relays.reduce((sum, relay) => sum + relay.dropped, 0);
  const passed = relays.reduce((sum, relay) => sum + relay.passed, 0);
  t.diagnostic(`${dropped} of ${dropped + passed} datagrams to the agents were dropped`);
  assert.ok(dropped > 10);
});
