import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { peerWarnings } from "../../../src/peer/peer-warnings.ts";
import { logLines } from "../../support/log/log-lines.ts";
import { VirtualTime } from "../../support/time/virtual-clock.ts";

test("two warnings a second are logged, and the next one has the number of those that were dropped", () => {
  const time = new VirtualTime();
  const { log, lines } = logLines();
  const warn = peerWarnings(log, time.clock());
  const fault = new Fault("failed-precondition", { message: "why", facts: { reason: "other-cluster" } });
  for (let n = 0; n < 5; n++) warn({ peer: "b" }, fault, "refused");
  time.now += 1_000;
  warn({ peer: "b" }, fault, "refused");
  const facts = { peer: "b", why: "why", reason: "other-cluster" };
  assert.deepEqual(
    lines.map((line) => line.facts),
    [facts, facts, { ...facts, unlogged: 3 }],
  );
});
