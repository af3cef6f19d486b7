import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { allValues, run } from "../../../support/log/logs.ts";
import { until } from "../../../support/until.ts";
import { FakeCluster, type Mishap } from "../fake-cluster.ts";

test("a producer batches the records of one turn, and each record gets its offset", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer({ lingerMs: 0 });
  const sent = Array.from({ length: 100 }, (_, n) => producer.send({ value: `${n}` }));
  assert.deepEqual(
    (await Promise.all(sent)).map(({ firstOffset }) => firstOffset),
    sent.map((_, n) => n),
  );
  assert.equal(cluster.log.appendCalls.length, 1);
  assert.equal((await allValues(cluster.log)).length, 100);
});

test("a producer appends each record once and in order despite leader changes, rejections and lost responses", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const chance = prng(`producer ${seed}`);
    const cluster = new FakeCluster("a:1", "b:1", "c:1");
    await using client = cluster.client();
    const producer = client.producer({ lingerMs: 0, batchRecordsMax: 3 });
    const sent: Promise<{ readonly firstOffset: number }>[] = [];
    for (let n = 0; n < 60; n++) {
      const node = chance.pick(cluster.nodes);
      const mishap = chance.pick<Mishap>([
        "lost",
        "written-unanswered",
        new Fault("unavailable"),
        new Fault("not-leader"),
      ]);
      if (chance.chance(0.3)) node.mishaps.push(mishap);
      node.isDown = chance.chance(0.1);
      if (chance.chance(0.1)) cluster.lead(chance.pick(cluster.nodes).addr);
      sent.push(producer.send({ value: `${n}` }));
      if (chance.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const node of cluster.nodes) node.isDown = false;
    const offsets = (await Promise.all(sent)).map(({ firstOffset }) => firstOffset);
    assert.deepEqual(
      offsets,
      sent.map((_, n) => n),
      `seed ${seed}`,
    );
    assert.deepEqual(
      await allValues(cluster.log),
      sent.map((_, n) => `${n}`),
      `seed ${seed}`,
    );
    assert.equal(producer.epoch, 0);
  }
});

test("a full queue rejects records, and room() resolves when there is room again", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer({ queueBytesMax: 1_000 });
  let open = (): void => {};
  cluster.log.gate = new Promise((resolve) => (open = resolve));
  const first = producer.send({ value: "x".repeat(900) });
  await assert.rejects(producer.send({ value: "y".repeat(200) }), { kind: "overloaded", written: "no" });
  let isAppended = false;
  const room = producer.room(200).then(() => isAppended);
  await new Promise((resolve) => setImmediate(resolve));
  isAppended = true;
  open();
  assert.equal(await room, true, "there is no room before the first record is appended");
  await first;
  await producer.send({ value: "y".repeat(200) });
});

test("an invalid signal or options object is rejected before the record is taken, and null means none", async () => {
  const cluster = new FakeCluster("a:1");
  using client = cluster.client();
  await using producer = client.producer();
  for (const signal of [42, "x", {}, () => 1]) {
    await assert.rejects(producer.send("a", { signal } as never), { kind: "bad-request", written: "no" });
  }
  await assert.rejects(producer.send("a", 42 as never), { kind: "bad-request" });
  await producer.send("b", { signal: null } as never);
  await producer.send("c", null as never);
  assert.equal((await cluster.log.bounds()).next, 2);
});

test("flush sends what lingers and resolves when it is settled", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer({ lingerMs: 60_000 });
  const sent = producer.send({ value: "x" });
  await producer.flush();
  assert.equal((await cluster.log.bounds()).next, 1);
  await sent;
  await producer.flush();
});

test("a closed producer fails its pending records, rejects new ones, and resolves its waiters", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer({ lingerMs: 60_000, queueBytesMax: 10 });
  const sent = producer.send({ value: "x".repeat(50) });
  const room = producer.room(50);
  producer.close();
  await assert.rejects(sent, { kind: "canceled", written: "no" });
  await assert.rejects(producer.send({ value: "y" }), { kind: "canceled", written: "no" });
  await room;
  await producer.flush();
});

test("of two producers with one id, the newer epoch fences the older", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const old = client.producer({ id: 9n, epoch: 0 });
  await old.send({ value: "old" });
  cluster.nodes[0]!.mishaps.push(new Fault("producer-fenced"));
  await assert.rejects(old.send({ value: "too late" }), { kind: "producer-fenced", written: "no" });
  await assert.rejects(old.send({ value: "later" }), { kind: "producer-fenced" });
});

test("invalid settings are rejected", async () => {
  await using client = new FakeCluster("a:1").client();
  assert.throws(() => client.producer({ inFlightMax: 6 }), { kind: "config" }, "a node stores five");
  assert.throws(() => client.producer({ batchRecordsMax: 0 }), { kind: "config" });
  assert.throws(() => client.producer({ batchBytesMax: 2 ** 30 }), { kind: "config" });
});

test("the appends of one producer stamp keep their order over a bad network", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  cluster.nodes[0]!.mishaps.push("lost", new Fault("unavailable"));
  const appended = await Promise.all(
    [0, 1, 2, 3].map((sequence) =>
      client.commitLog.append(run(`${sequence}`), { producer: { subject: "", id: 1n, epoch: 0, sequence } }),
    ),
  );
  assert.deepEqual(
    appended.map(({ firstOffset }) => firstOffset),
    [0, 1, 2, 3],
  );
});

test("an aborted send of a queued record appends nothing and rejects with the reason of the signal", async () => {
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
  assert.equal(producer.bytes, 0, "dropped runs are not buffered");
});

test("an aborted send of a record in flight rejects as unknown, with the reason as its cause, and the producer continues", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer({ lingerMs: 0 });
  let open = (): void => {};
  cluster.log.gate = new Promise((resolve) => (open = resolve));
  const stop = new AbortController();
  const sent = producer.send("in flight", { signal: stop.signal });
  await until("the append is in flight", () => cluster.node("a:1").calls.includes("produceBatch"));
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
