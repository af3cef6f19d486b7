import assert from "node:assert/strict";
import { test } from "node:test";
import { WarmConnection } from "../../../../src/agent/warm-up/warm-connection.ts";
import { warmUp } from "../../../../src/agent/warm-up/warm-up.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";

const clock = systemClock;

test("a warm-up ends once it has sent enough, and all its appends were written", async () => {
  const { requests, records } = await warmUp({ clock, limitMs: 60_000, requestsMax: 100 });
  // A round has four single appends, two of 32, a batch of ten records and a read.
  assert.deepEqual({ requests, records }, { requests: 140, records: 156 });
});

test("a warm-up ends at its limit of time, or when the node stops", async () => {
  const nothing = { requests: 0, records: 0 };
  assert.deepEqual(await warmUp({ clock, limitMs: 0 }), nothing);
  assert.deepEqual(await warmUp({ clock, limitMs: 60_000, signal: AbortSignal.abort() }), nothing);
  const { requests } = await warmUp({ clock, limitMs: 1, requestsMax: Number.POSITIVE_INFINITY });
  assert.ok(requests < 1_000, String(requests));
});

test("an exchange that is never answered ends with its connection, and one after that at once", async () => {
  const connection = new WarmConnection();
  const request = { headers: new Uint8Array(1), body: new Uint8Array(1) };
  const unanswered = connection.exchange([request]);
  connection.destroy();
  await unanswered;
  await connection.exchange([request]);
});
