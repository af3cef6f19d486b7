/** What a read of the end of the log waits for: nothing, a ReadIndex, or the records that its caller has seen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broadcast } from "../../../src/lib/broadcast.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { FreshnessGate } from "../../../src/replication/freshness-gate.ts";

/** A gate of a log that ends at `next`. A ReadIndex moves the end to `confirmed`. */
function gateOver(next: number, confirmed: number) {
  const log = { bounds: { lowest: 0, next }, changed: new Broadcast(), closed: false };
  let readIndexes = 0;
  const readIndex = (): Promise<void> => {
    readIndexes++;
    log.bounds = { lowest: 0, next: confirmed };
    return Promise.resolve();
  };
  const gate = new FreshnessGate({ clock: systemClock, log, alone: () => false, readIndex });
  return { gate, end: () => log.bounds.next, readIndexes: () => readIndexes };
}

test("a session without a token uses a ReadIndex before it reads that the log is empty", async () => {
  // In a request, offset 0 means both "offset 0 was seen" and "nothing was seen".
  const { gate, end, readIndexes } = gateOver(0, 1);
  await gate.beforeBounds({ mode: "session" });
  assert.deepEqual([end(), readIndexes()], [1, 1]);
});

test("a session without a token needs no ReadIndex if the log has records, and mode any never needs one", async () => {
  const filled = gateOver(1, 2);
  await filled.gate.beforeBounds({});
  assert.deepEqual([filled.end(), filled.readIndexes()], [1, 0]);
  const empty = gateOver(0, 1);
  await empty.gate.beforeBounds({ mode: "any" });
  assert.deepEqual([empty.end(), empty.readIndexes()], [0, 0]);
});

test("a session that has seen more than this node has waits until its deadline", async () => {
  const { gate, readIndexes } = gateOver(1, 2);
  await gate.beforeBounds({ mode: "session", seenOffset: 0 });
  const deadlineMs = systemClock.monotonicMs() + 20;
  await assert.rejects(gate.beforeBounds({ mode: "session", seenOffset: 1, deadlineMs }), {
    kind: "unavailable",
  });
  assert.equal(readIndexes(), 0);
});
