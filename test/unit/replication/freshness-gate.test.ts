/**
 * What a read waits for before it tells the end: nothing, the leader's word, or what its caller has seen.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broadcast } from "../../../src/lib/broadcast.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { FreshnessGate } from "../../../src/replication/freshness-gate.ts";

/** A gate over a log that ends at `next`; the leader's word moves the end to `confirmed`. */
function gateOver(next: number, confirmed: number) {
  const log = { bounds: { lowest: 0, next }, changed: new Broadcast(), closed: false };
  let questions = 0;
  const readIndex = (): Promise<void> => {
    questions++;
    log.bounds = { lowest: 0, next: confirmed };
    return Promise.resolve();
  };
  const gate = new FreshnessGate({ clock: systemClock, log, alone: () => false, readIndex });
  return { gate, end: () => log.bounds.next, questions: () => questions };
}

test("a session without a token asks the leader before it is told that the log is empty", async () => {
  // Requests say 0 for "offset 0 was seen" and for "nothing was".
  const { gate, end, questions } = gateOver(0, 1);
  await gate.beforeBounds({ mode: "session" });
  assert.deepEqual([end(), questions()], [1, 1]);
});

test("a session without a token asks nobody where there is something; any asks nobody at all", async () => {
  const filled = gateOver(1, 2);
  await filled.gate.beforeBounds({});
  assert.deepEqual([filled.end(), filled.questions()], [1, 0]);
  const empty = gateOver(0, 1);
  await empty.gate.beforeBounds({ mode: "any" });
  assert.deepEqual([empty.end(), empty.questions()], [0, 0]);
});

test("a session that has seen more than is here waits, and gives up in time", async () => {
  const { gate, questions } = gateOver(1, 2);
  await gate.beforeBounds({ mode: "session", seenOffset: 0 });
  const deadlineMs = systemClock.monotonicMs() + 20;
  await assert.rejects(gate.beforeBounds({ mode: "session", seenOffset: 1, deadlineMs }), {
    kind: "unavailable",
  });
  assert.equal(questions(), 0);
});
