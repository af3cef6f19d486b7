/** A send that is aborted: before it is sent it never happens, while it is under way its outcome is unknown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { FakeCluster } from "../../support/fake-cluster.ts";
import { allValues } from "../../support/logs.ts";

test("a queued record is not appended, and the send rejects with the signal's reason", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer({ lingerMs: 0, batchRecordsMax: 1, inFlightMax: 1 });
  let open = (): void => {};
  cluster.log.gate = new Promise((resolve) => (open = resolve));
  const first = producer.send("first");
  await new Promise((resolve) => setImmediate(resolve));
  const stop = new AbortController();
  const reason = new Error("not needed");
  const dropped = ["a", "b"].map((value) => producer.send(value, { signal: stop.signal }));
  const kept = producer.send("last");
  stop.abort(reason);
  for (const one of dropped) await assert.rejects(one, (thrown) => thrown === reason);
  await assert.rejects(producer.send("late", { signal: stop.signal }), (thrown) => thrown === reason);
  open();
  assert.deepEqual([(await first).firstOffset, (await kept).firstOffset], [0, 1]);
  assert.deepEqual(await allValues(cluster.log), ["first", "last"]);
  assert.equal(producer.bytes, 0, "nothing is held for the dropped ones");
});

test("a record under way rejects as unknown, with the reason as its cause, and the producer goes on", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer({ lingerMs: 0 });
  let open = (): void => {};
  cluster.log.gate = new Promise((resolve) => (open = resolve));
  const stop = new AbortController();
  const sent = producer.send("under way", { signal: stop.signal });
  while (cluster.node("a:1").calls.every((call) => call !== "produceBatch")) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  const reason = new Error("enough");
  stop.abort(reason);
  await assert.rejects(
    sent,
    (thrown) =>
      thrown instanceof Fault &&
      thrown.kind === "canceled" &&
      thrown.written === "unknown" &&
      thrown.cause === reason,
  );
  open();
  assert.equal((await producer.send("next")).firstOffset, 1);
});
