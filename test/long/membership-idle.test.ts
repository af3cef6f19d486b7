/**
 * The cost of idle gossip, on real sockets with the timing of a local network.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lanTiming } from "../../src/membership/swim/timing.ts";
import { until } from "../support/until.ts";
import { startMember } from "../wire/gossip/serf-agent.ts";

for (const { size, coreShareMax } of [
  { size: 3, coreShareMax: 0.005 },
  { size: 100, coreShareMax: 0.02 },
]) {
  test(`${size} idle members in one process`, async (t) => {
    const first = await startMember(t, { name: "m0", timing: lanTiming });
    const members = [first];
    for (let at = 1; at < size; at++) {
      const next = await startMember(t, { name: `m${at}`, timing: lanTiming });
      await next.member.join([first.addr]);
      members.push(next);
    }
    const agreed = (): boolean => members.every(({ member }) => member.members().length === size);
    await until("all six members agree", agreed);
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const before = process.cpuUsage();
    const started = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    const { system, user } = process.cpuUsage(before);
    const share = (system + user) / 1000 / (performance.now() - started) / size;
    t.diagnostic(`${size} members: ${(share * 100).toFixed(3)} % of a core each`);
    t.diagnostic(`heap ${(process.memoryUsage().heapUsed / 2 ** 20).toFixed(0)} MiB in all`);
    assert.ok(share < coreShareMax, `${(share * 100).toFixed(2)} % of a core each`);
    assert.ok(members.every(({ events }) => events.every(({ kind }) => kind !== "failed")));
  });
}
