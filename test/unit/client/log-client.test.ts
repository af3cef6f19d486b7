import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type FaultKind } from "../../../src/fault.ts";
import type { ProducerStamp, Written } from "../../../src/types.ts";
import { run, valuesOf } from "../../support/log/logs.ts";
import { until } from "../../support/until.ts";
import { FakeCluster, freshnessOf } from "./fake-cluster.ts";

const isFault =
  (kind: FaultKind, written: Written) =>
  (reason: unknown): boolean => {
    assert.ok(reason instanceof Fault, String(reason));
    assert.deepEqual([reason.kind, reason.written], [kind, written]);
    return true;
  };
const producer: ProducerStamp = { subject: "", id: 1n, epoch: 0, sequence: 0 };
const soon = (ms: number): number => performance.now() + ms;

test("appends go to the leader and reads to the followers in turn", async () => {
  const cluster = new FakeCluster("a:1", "b:1", "c:1");
  await using client = cluster.client({ seeds: ["c:1"] });
  for (let n = 0; n < 4; n++) await client.commitLog.append(run(`${n}`));
  for (let n = 0; n < 4; n++) await client.commitLog.read(n);
  const made = (addr: string, rpc: string): number =>
    cluster.node(addr).calls.filter((call) => call === rpc).length;
  assert.deepEqual(
    ["a:1", "b:1", "c:1"].map((addr) => made(addr, "produceBatch")),
    [4, 0, 0],
  );
  assert.deepEqual(
    ["a:1", "b:1", "c:1"].map((addr) => made(addr, "consumeBatches")),
    [0, 2, 2],
  );
});

test("a node that is no longer the leader names the new one, and the append goes there", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  await using client = cluster.client();
  await client.commitLog.append(run("0"));
  cluster.node("a:1").mishaps.push(new Fault("not-leader", { facts: { leader: "b:1", address: "b:1" } }));
  assert.equal((await client.commitLog.append(run("1"))).firstOffset, 1);
  assert.equal(cluster.node("b:1").calls.filter((call) => call === "produceBatch").length, 1);
});

test("when the leader fails, other nodes forward appends until the new leader is known", async () => {
  const cluster = new FakeCluster("a:1", "b:1", "c:1");
  await using client = cluster.client();
  await client.commitLog.append(run("0"));
  cluster.node("a:1").isDown = true;
  cluster.lead("c:1");
  for (let n = 1; n < 6; n++) assert.equal((await client.commitLog.append(run(`${n}`))).firstOffset, n);
  assert.ok(cluster.node("c:1").calls.filter((call) => call === "produceBatch").length >= 3);
});

test("an append that was not written is retried", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  cluster.node("a:1").mishaps.push(new Fault("unavailable"), new Fault("overloaded"), new Fault("disk-full"));
  // disk-full asks for a delay of five seconds, which this deadline does not allow.
  await assert.rejects(
    client.commitLog.append(run("0"), { expectedOffset: 0, deadlineMs: soon(2_000) }),
    isFault("disk-full", "no"),
  );
  assert.equal((await client.commitLog.append(run("0"))).firstOffset, 0);
});

for (const mishap of ["lost", "written-unanswered"] as const) {
  test(`an append whose outcome is unknown (${mishap}) is not retried without a producer`, async () => {
    const cluster = new FakeCluster("a:1");
    await using client = cluster.client();
    for (const options of [{}, { expectedOffset: mishap === "lost" ? 0 : 1 }]) {
      cluster.node("a:1").mishaps.push(mishap);
      await assert.rejects(client.commitLog.append(run("x"), options), isFault("unknown", "unknown"));
    }
    assert.equal((await cluster.log.bounds()).next, mishap === "lost" ? 0 : 2);
  });

  test(`an append whose outcome is unknown (${mishap}) is retried with a producer, and is in the log once`, async () => {
    const cluster = new FakeCluster("a:1");
    await using client = cluster.client();
    cluster.node("a:1").mishaps.push(mishap, new Fault("unavailable"), mishap);
    const { firstOffset, duplicate } = await client.commitLog.append(run("x"), { producer });
    assert.deepEqual([firstOffset, duplicate], [0, mishap === "written-unanswered"]);
    assert.equal((await cluster.log.bounds()).next, 1);
  });
}

test("a call that fails says unknown if the outcome of any attempt was unknown", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client({ limits: { attemptsMax: 3 } });
  cluster.node("a:1").mishaps.push("lost", new Fault("unavailable"), new Fault("unavailable"));
  await assert.rejects(client.commitLog.append(run("x"), { producer }), isFault("unavailable", "unknown"));
});

test("a fault that a retry cannot fix is reported at once", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  for (const kind of ["permission-denied", "bad-record", "out-of-sequence", "producer-fenced"] as const) {
    cluster.node("a:1").mishaps.push(new Fault(kind));
    await assert.rejects(client.commitLog.append(run("x"), { producer }), isFault(kind, "no"));
  }
  assert.equal(cluster.node("a:1").calls.filter((call) => call === "produceBatch").length, 4);
});

test("an append to a silent node fails at its deadline with an unknown outcome", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  for (const options of [{}, { expectedOffset: 0 }]) {
    cluster.node("a:1").mishaps.push("hangs");
    await assert.rejects(
      client.commitLog.append(run("x"), { ...options, deadlineMs: soon(1_000) }),
      isFault("deadline", "unknown"),
    );
  }
  client[Symbol.dispose]();
});

test("a deadline on the wall clock is rejected", async () => {
  await using client = new FakeCluster("a:1").client();
  const deadlineMs = 1_700_000_000_000;
  const { commitLog } = client;
  const refused = isFault("bad-request", "no");
  await assert.rejects(commitLog.append(run("x"), { deadlineMs }), refused);
  await assert.rejects(commitLog.append(run("x"), { deadlineMs, expectedOffset: 0 }), refused);
  await assert.rejects(commitLog.trim(0, { deadlineMs: Number.NaN }), refused);
  await assert.rejects(commitLog.read(0, { deadlineMs }), refused);
  const patient = { deadlineMs: Number.POSITIVE_INFINITY };
  assert.equal((await commitLog.append(run("x"), patient)).firstOffset, 0);
  assert.equal((await commitLog.read(0, { deadlineMs: performance.now() + 2 ** 33 })).firstOffset, 0);
});

test("an append that can be retried does not wait for a silent node until its deadline", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  await using client = cluster.client({ limits: { attemptMs: 60 } });
  cluster.node("a:1").mishaps.push("hangs");
  assert.equal((await client.commitLog.append(run("x"), { producer })).firstOffset, 0);
  assert.ok(cluster.node("b:1").calls.includes("produceBatch"));
});

test("without any node an append fails as unavailable and not written, after a limited number of attempts", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  for (const node of cluster.nodes) node.isDown = true;
  await using client = cluster.client({ seeds: ["a:1", "b:1"], limits: { attemptsMax: 4 } });
  await assert.rejects(
    client.commitLog.append(run("x"), { expectedOffset: 0 }),
    isFault("unavailable", "no"),
  );
  await assert.rejects(client.commitLog.read(0), isFault("unavailable", "no"));
});

test("a read finds another node when one is down, cuts the stream or sends damage", async () => {
  const cluster = new FakeCluster("a:1", "b:1", "c:1");
  await using client = cluster.client();
  await client.commitLog.append(run("x"));
  cluster.node("b:1").isDown = true;
  cluster.node("c:1").cutAfter = 0;
  for (let n = 0; n < 3; n++) assert.deepEqual(valuesOf(await client.commitLog.read(0)), ["x"]);
  cluster.node("c:1").cutAfter = 9;
  cluster.node("c:1").isDamaged = true;
  for (let n = 0; n < 3; n++) assert.deepEqual(valuesOf(await client.commitLog.read(0)), ["x"]);
  for (const node of cluster.nodes) node.isDamaged = true;
  await assert.rejects(client.commitLog.read(0), isFault("corrupt", "no"));
});

test("a client is one session: a read requires what the client has appended or read", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  await client.commitLog.append(run("0", "1", "2"));
  await client.commitLog.read(0);
  await client.commitLog.read(0, { mode: "linearizable" });
  await client.commitLog.read(0, { mode: "session", seenOffset: 1 });
  assert.deepEqual(cluster.node("a:1").requests.map(freshnessOf), [
    ["SESSION", 2n],
    ["LINEARIZABLE", 0n],
    ["SESSION", 1n],
  ]);
  await using other = cluster.client();
  await other.commitLog.read(1);
  await other.commitLog.read(1);
  assert.deepEqual(cluster.node("a:1").requests.slice(3).map(freshnessOf), [
    ["SESSION", 0n],
    ["SESSION", 2n],
  ]);
});

test("the bounds of a node are used only once it has what the session knows", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  await using client = cluster.client();
  await client.commitLog.append(run("0", "1"));
  await client.commitLog.bounds();
  assert.equal(cluster.node("b:1").requests.length, 0, "it is not behind: one call");
  cluster.node("b:1").lag = 1;
  await client.commitLog.bounds();
  assert.deepEqual(cluster.node("b:1").requests.map(freshnessOf), [["SESSION", 1n]]);
});

test("a signal ends a read", async () => {
  const cluster = new FakeCluster("a:1");
  for (const node of cluster.nodes) node.isDown = true;
  await using client = cluster.client();
  const stop = new AbortController();
  const reading = client.commitLog.read(0, { signal: stop.signal });
  const reason = new Error("the page was closed");
  stop.abort(reason);
  await assert.rejects(
    reading,
    (thrown) => thrown === reason,
    "the reason of the signal, as everywhere on the web",
  );
  await assert.rejects(client.commitLog.read(0, { signal: stop.signal }), (thrown) => thrown === reason);
});

test("a closed client rejects calls, and an append in flight has an unknown outcome", async () => {
  const cluster = new FakeCluster("a:1");
  const client = cluster.client();
  cluster.node("a:1").mishaps.push("hangs");
  const appending = client.commitLog.append(run("x"));
  const tail = client.commitLog.follow(0);
  const ready = tail.ready();
  await until("the append is at the node", () => cluster.node("a:1").mishaps.length === 0);
  client[Symbol.dispose]();
  await assert.rejects(appending, isFault("canceled", "unknown"));
  assert.equal(await ready, false);
  await assert.rejects(client.commitLog.append(run("y")), isFault("canceled", "no"));
  await assert.rejects(client.commitLog.read(0), isFault("canceled", "no"));
  await assert.rejects(client.commitLog.trim(0), isFault("canceled", "no"));
});

test("disposing of a client waits for its pending appends", async () => {
  const cluster = new FakeCluster("a:1");
  let appending: Promise<unknown> | undefined;
  {
    await using client = cluster.client();
    appending = client.commitLog.append(run("x"));
  }
  await appending;
  assert.equal((await cluster.log.bounds()).next, 1);
});

test("the bytes of pending appends are limited, including conditional and stamped ones", async () => {
  const cluster = new FakeCluster("a:1");
  const client = cluster.client({ limits: { queueBytesMax: 2_000 } });
  cluster.node("a:1").mishaps.push("hangs");
  const value = "x".repeat(1_500);
  const first = client.commitLog.append(run(value), { producer });
  await assert.rejects(client.commitLog.append(run(value), { producer }), isFault("overloaded", "no"));
  await assert.rejects(
    client.commitLog.append(run(value), { expectedOffset: 1 }),
    isFault("overloaded", "no"),
  );
  client[Symbol.dispose]();
  await assert.rejects(first);
});

test("a number that is not an offset is rejected without a request", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const log = client.commitLog;
  await log.append(run("0"));
  const asked = cluster.node("a:1").calls.length;
  const refused = isFault("bad-request", "no");
  for (const number of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await assert.rejects(log.read(number), refused);
    await assert.rejects(log.seek({ last: number }), refused);
    await assert.rejects(log.trim(number), refused);
    await assert.rejects(log.append(run("1"), { expectedOffset: number }), refused);
    await assert.rejects(log.append(run("1"), { producer: { ...producer, sequence: number } }), refused);
    using tail = log.follow(number);
    await tail.ready().catch(() => undefined);
    assert.throws(() => tail.take(), refused);
  }
  assert.equal(cluster.node("a:1").calls.length, asked);
  assert.equal(await log.seek({ fromTimeMs: -1 }), 0);
});

test("a client without an address is not opened", () => {
  assert.throws(() => new FakeCluster("a:1").client({ seeds: [] }), isFault("config", "no"));
});
