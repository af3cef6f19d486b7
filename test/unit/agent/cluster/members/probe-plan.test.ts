import assert from "node:assert/strict";
import { test } from "node:test";
import { ProbePlan, type ProbeTarget } from "../../../../../src/agent/cluster/members/probe-plan.ts";

const unknown = (n: number): ProbeTarget => ({ address: `10.0.${n >> 8}.${n & 255}:1`, isMember: false });

test("20,000 forged members make a leader dial a few at once, then one every two seconds", () => {
  const plan = new ProbePlan();
  const forged = Array.from({ length: 20_000 }, (_, n) => unknown(n));
  let dials = 0;
  for (let now = 0; now < 60_000; now += 250) {
    for (const { address } of plan.choose(forged, now)) {
      dials++;
      plan.failed(address, now);
    }
  }
  assert.ok(dials >= 30 && dials <= 50, String(dials));
});

test("a member that may have moved is dialed before other nodes, after pauses that double", () => {
  const plan = new ProbePlan();
  const member: ProbeTarget = { address: "member:1", isMember: true };
  const all = [...Array.from({ length: 100 }, (_, n) => unknown(n)), member];
  const times: number[] = [];
  for (let now = 0; now < 40_000; now += 250) {
    const chosen = plan.choose(all, now);
    if (chosen[0]?.address === "member:1") times.push(now);
    assert.equal(
      chosen.slice(1).some(({ address }) => address === "member:1"),
      false,
    );
    for (const { address } of chosen) plan.failed(address, now);
  }
  assert.deepEqual(times, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
});

test("a new node that answers is dialed in every round, also among many forged addresses", () => {
  const plan = new ProbePlan();
  const forged = Array.from({ length: 1_000 }, (_, n) => unknown(n));
  plan.answered("new:1", 0);
  for (let now = 250; now < 5_000; now += 250) {
    const chosen = plan.choose([...forged, { address: "new:1", isMember: false }], now);
    assert.equal(chosen[0]?.address, "new:1");
    for (const { address } of chosen) {
      if (address === "new:1") plan.answered(address, now);
      else plan.failed(address, now);
    }
  }
});

test("an address that several candidates have is dialed once", () => {
  const plan = new ProbePlan();
  assert.equal(plan.choose([unknown(1), unknown(1), unknown(1)], 0).length, 1);
});
