import assert from "node:assert/strict";
import { test } from "node:test";
import { logsOf, longPlan, type Plan, recordValue, restartOf, sequenceOf } from "../../soak/plan.ts";

const plan: Plan = { ...longPlan, durationMs: 60 * 60_000, rate: 1_000 };

test("an hour restarts every node by both signals and as leader, and leaves each alone for a third", () => {
  const restarts = Array.from({ length: 59 }, (_, k) => restartOf(plan, k));
  for (const node of [0, 1, 2]) {
    const own = restarts.filter((one) => one.node === node);
    assert.deepEqual([...new Set(own.map(({ signal }) => signal))].sort(), ["SIGKILL", "SIGTERM"]);
    assert.ok(own.some(({ asLeader }) => asLeader));
    const times = restarts.flatMap((one, k) => (one.node === node ? [k + 1] : []));
    const gaps = [...times, 60].map((time, n) => time - (times[n - 1] ?? 0));
    assert.ok(Math.max(...gaps) >= 18, `n${node + 1} is left alone for ${Math.max(...gaps)} minutes`);
  }
});

test("every log has a retention, half of the named ones by age and half by bytes", () => {
  const logs = logsOf(plan);
  assert.equal(logs.length, 101);
  assert.equal(logs[0]?.name, "default");
  assert.equal(logs.filter(({ retentionBytes }) => retentionBytes !== undefined).length, 50);
  assert.equal(logs.filter(({ retentionAgeMs }) => retentionAgeMs !== undefined).length, 51);
});

test("a value is recognized by its log and its sequence, and one that was changed is not", () => {
  for (const sequence of [0, 7, 123_456]) {
    const value = recordValue("soak/001", sequence);
    assert.equal(sequenceOf("soak/001", value), sequence);
    assert.equal(sequenceOf("soak/002", value), undefined);
    value[value.length - 1]! ^= 1;
    assert.equal(sequenceOf("soak/001", value), undefined);
  }
  assert.equal(sequenceOf("soak/001", Buffer.from("soak/001")), undefined);
});
