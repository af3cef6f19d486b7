import assert from "node:assert/strict";
import { test } from "node:test";
import { GossipSwim } from "../gossip-swim.ts";

/** Returns how long a silent member is suspected until it is dead, in milliseconds. */
function timeToDeath(confirmations: readonly string[]): number {
  const core = new GossipSwim();
  for (const [count, name] of ["silent", "b", "c", "d"].entries()) core.alive(name, 2 + count);
  core.suspect("silent", "b");
  for (const from of confirmations) core.suspect("silent", from);
  let elapsedMs = 0;
  while (core.record("silent")?.state !== "dead") {
    core.run(100, core.acknowledge(3, 4, 5));
    elapsedMs += 100;
    assert.ok(elapsedMs < 60_000);
  }
  assert.equal(core.calls.at(-1), "leave silent dead");
  return elapsedMs;
}

test("independent confirmations shorten a suspicion, and repeated or unknown ones do not", () => {
  const alone = timeToDeath([]);
  const confirmed = timeToDeath(["c", "d"]);
  assert.ok(confirmed < alone, `${confirmed} ms confirmed, ${alone} ms alone`);
  assert.ok(confirmed >= 4_000, `${confirmed} ms is below the minimum`);
  assert.equal(timeToDeath(["b", "b", "unknown"]), alone);
});

test("a member that answers the last check stays alive, and others' suspicions of it are ignored for 30 s", () => {
  const core = new GossipSwim();
  for (const [count, name] of ["busy", "b", "c"].entries()) core.alive(name, 2 + count);
  core.suspect("busy", "b");
  for (let steps = 0; core.record("busy")?.state !== "alive"; steps++) {
    assert.ok(steps < 6_000, "it never became alive");
    const isChecked = core.record("busy")?.deathCheck !== undefined;
    core.run(10, isChecked ? core.acknowledge(2, 3, 4) : core.acknowledge(3, 4));
  }
  core.suspect("busy", "c");
  assert.equal(core.record("busy")?.state, "alive");
  // A probe from before the answer may suspect it once more, which starts the 30 s again.
  for (let steps = 0; (core.record("busy")?.trustedUntilMs ?? 0) > core.context.schedule.nowMs; steps++) {
    assert.ok(steps < 120, "the suspicions are ignored for too long");
    core.run(1_000, core.acknowledge(2, 3, 4));
  }
  core.suspect("busy", "c");
  assert.equal(core.record("busy")?.state, "suspect");
});
