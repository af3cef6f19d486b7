/** A named log in the client: every request states its id, so that none reaches another log of the same name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TailraceClient } from "../../../../src/client/client.ts";
import { recordsOf } from "../../../../src/client/public-api.ts";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import type { Written } from "../../../../src/types.ts";
import { run, valuesOf } from "../../../support/log/logs.ts";
import { until } from "../../../support/until.ts";
import { FakeCluster } from "../fake-cluster.ts";

const isFault =
  (kind: FaultKind, written: Written = "no", why?: string) =>
  (reason: unknown): boolean => {
    assert.ok(reason instanceof Fault, String(reason));
    assert.deepEqual([reason.kind, reason.written], [kind, written]);
    if (why !== undefined) assert.equal(reason.facts.reason, why);
    return true;
  };
const stamp = { subject: "", id: 1n, epoch: 0, sequence: 0 };
const askedIds = (cluster: FakeCluster, addr = "a:1"): number =>
  cluster.node(addr).calls.filter((call) => call === "getLog").length;
const textsOf = async (client: TailraceClient, name: string): Promise<string[]> => {
  const texts: string[] = [];
  for await (const { value } of client.log(name).consume({ from: "start", until: "end" }))
    texts.push(new TextDecoder().decode(value));
  return texts;
};

test("a named log has everything that default has, and its records stay apart", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  cluster.logs.create("orders");
  await using client = cluster.client();
  const orders = client.log("orders");
  assert.deepEqual([orders.name, orders.id], ["orders", undefined]);
  await client.commitLog.append(run("default"));
  assert.equal((await orders.append(run("a", "b"))).firstOffset, 0);
  assert.equal(orders.id, "7-1");
  assert.equal((await orders.producer().send("c")).firstOffset, 2);
  assert.equal((await orders.append(run("d"), { expectedOffset: 3 })).firstOffset, 3);
  assert.deepEqual(await orders.bounds(), { lowest: 0, next: 4 });
  assert.deepEqual(valuesOf(await orders.read(3)), ["d"]);
  assert.equal(await orders.seek({ last: 1 }), 3);
  assert.equal(await orders.seek({ end: true }), 4);
  assert.deepEqual(await textsOf(client, "orders"), ["a", "b", "c", "d"]);
  assert.equal((await orders.describe()).next, 4);
  assert.deepEqual(await client.commitLog.bounds(), { lowest: 0, next: 1 });
  assert.equal(askedIds(cluster), 2, "each object asks the leader once");
  assert.equal(askedIds(cluster, "b:1"), 0);
  const requests = cluster.nodes.flatMap(({ requests, appends }) => [...requests, ...appends]);
  for (const { log, logId } of requests.filter((request) => request.log === "orders"))
    assert.deepEqual([log, logId], ["orders", "7-1"]);
});

test("requests about default state no log, and the name default is that log", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  assert.equal(client.log("default"), client.commitLog);
  assert.deepEqual([client.commitLog.name, client.commitLog.id], ["default", undefined]);
  await client.commitLog.append(run("x"));
  await client.commitLog.read(0);
  assert.equal(askedIds(cluster), 0);
  const [append] = cluster.node("a:1").appends;
  const [read] = cluster.node("a:1").requests;
  assert.deepEqual([append!.log, append!.logId, read!.log, read!.logId], ["", undefined, "", undefined]);
});

test("a log that is not there fails every call as not found, and nothing is written", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const missing = client.log("missing");
  const refused = isFault("not-found", "no", "NO_SUCH_LOG");
  await assert.rejects(missing.append(run("x")), refused);
  await assert.rejects(missing.append(run("x"), { producer: stamp }), refused);
  await assert.rejects(missing.producer().send("x"), refused);
  await assert.rejects(missing.produceStream(["x"]).next(), refused);
  await assert.rejects(missing.read(0), refused);
  await assert.rejects(missing.bounds(), refused);
  await assert.rejects(missing.seek({ end: true }), refused);
  await assert.rejects(missing.describe(), refused);
  await assert.rejects(missing.trim(0), refused);
  await assert.rejects(missing.consume({ from: 0 }).next(), refused);
  cluster.logs.create("missing");
  assert.equal((await missing.append(run("x"))).firstOffset, 0, "the object has no id yet");
});

test("after a delete, an object of the old log does not reach a new one of the same name", async () => {
  const cluster = new FakeCluster("a:1");
  cluster.logs.create("orders");
  await using client = cluster.client();
  const old = client.log("orders");
  await old.append(run("old"));
  await client.logs.delete("orders");
  await client.logs.create("orders");
  const refused = isFault("failed-precondition", "no", "ANOTHER_LOG");
  await assert.rejects(old.append(run("x")), refused);
  await assert.rejects(old.read(0), refused);
  await assert.rejects(old.producer().send("x"), refused);
  assert.equal((await client.log("orders").append(run("new"))).firstOffset, 0);
  await assert.rejects(client.log("orders", { id: "7-1" }).append(run("x")), refused);
  assert.deepEqual(await textsOf(client, "orders"), ["new"]);
});

test("a retry after an unknown outcome states the id, so it does not reach a new log of the same name", async () => {
  for (const append of [
    (client: TailraceClient) => client.log("orders").producer().send("x"),
    (client: TailraceClient) => client.log("orders").append(run("x"), { producer: stamp }),
  ]) {
    const cluster = new FakeCluster("a:1");
    cluster.logs.create("orders");
    await using client = cluster.client({ backoff: { firstMs: 50, maxMs: 50 } });
    const node = cluster.node("a:1");
    node.mishaps.push("written-unanswered");
    const appending = append(client);
    const refused = assert.rejects(appending, isFault("failed-precondition", "unknown", "ANOTHER_LOG"));
    await until("the first attempt is over", () => node.appends.length === 1 && node.mishaps.length === 0);
    cluster.logs.named.delete("orders");
    const other = cluster.logs.create("orders");
    await refused;
    assert.equal(other.log.next, 0);
  }
});

test("a subject that may only append does not repeat an append before it knows the id", async () => {
  for (const append of [
    (client: TailraceClient) => client.log("orders").producer().send("x"),
    (client: TailraceClient) => client.log("orders").append(run("x"), { producer: stamp }),
    (client: TailraceClient) => client.log("orders").append(run("x")),
  ]) {
    const cluster = new FakeCluster("a:1");
    const { log } = cluster.logs.create("orders");
    await using client = cluster.client();
    cluster.node("a:1").denied = ["getLog"];
    cluster.node("a:1").mishaps.push("written-unanswered");
    await assert.rejects(append(client), (reason: unknown) => Fault.from(reason).written === "unknown");
    assert.equal(log.next, 1, "one attempt");
  }
  const cluster = new FakeCluster("a:1");
  cluster.logs.create("orders");
  await using client = cluster.client();
  cluster.node("a:1").denied = ["getLog"];
  const orders = client.log("orders");
  const producer = orders.producer();
  await producer.send("0");
  assert.equal(orders.id, "7-1", "the response said it");
  cluster.node("a:1").mishaps.push("written-unanswered");
  assert.deepEqual((await producer.send("1")).duplicate, true);
  assert.equal(askedIds(cluster), 1);
});

test("a subject that may only read finds the id by a read", async () => {
  const cluster = new FakeCluster("a:1");
  const { log } = cluster.logs.create("orders");
  await log.append(run("x"));
  await using client = cluster.client();
  cluster.node("a:1").denied = ["getLog"];
  const orders = client.log("orders");
  const tail = orders.follow(0);
  assert.equal(await tail.ready(), true);
  assert.equal(orders.id, "7-1");
  assert.deepEqual([...recordsOf(tail.take()!)].length, 1);
  assert.equal(cluster.node("a:1").requests.at(-1)!.logId, "7-1");
});

test("a tail that resumes states the id and ends as refused when the name means another log", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  const { log } = cluster.logs.create("orders");
  await log.append(run("0"));
  await log.append(run("1"));
  await using client = cluster.client();
  for (const node of cluster.nodes) node.cutAfter = 1;
  const tail = client.log("orders").follow(0);
  await tail.ready();
  assert.deepEqual(valuesOf(tail.take()!), ["0"]);
  cluster.logs.named.delete("orders");
  cluster.logs.create("orders");
  await until("the tail has failed", async () => {
    await tail.ready();
    try {
      tail.take();
      return false;
    } catch (reason) {
      return isFault("failed-precondition", "no", "ANOTHER_LOG")(reason);
    }
  });
  const ids = cluster.nodes.flatMap(({ requests }) => requests.map(({ logId }) => logId));
  assert.deepEqual(new Set(ids), new Set(["7-1"]));
});

test("a tail ends when its log is closed and everything has arrived", async () => {
  const cluster = new FakeCluster("a:1");
  const { log } = cluster.logs.create("orders");
  await log.append(run("0"));
  await using client = cluster.client();
  const values: string[] = [];
  const reading = (async () => {
    for await (const { value } of client.log("orders").consume({ from: 0 }))
      values.push(new TextDecoder().decode(value));
  })();
  await until("the first record has arrived", () => values.length === 1);
  await log.append(run("1"));
  await client.logs.close("orders");
  await reading;
  assert.deepEqual(values, ["0", "1"]);
});

test("a tail whose node ends the stream of an open log continues", async () => {
  const cluster = new FakeCluster("a:1");
  const { log } = cluster.logs.create("orders");
  await log.append(run("0"));
  await using client = cluster.client();
  log.endTails(); // without closing the log
  const tail = client.log("orders").follow(0);
  await tail.ready();
  assert.deepEqual(valuesOf(tail.take()!), ["0"]);
  const ready = tail.ready();
  await log.append(run("1"));
  assert.equal(await ready, true);
  assert.deepEqual(valuesOf(tail.take()!), ["1"]);
});

test("a batch of another log is damage", async () => {
  const cluster = new FakeCluster("a:1");
  await cluster.log.append(run("secret"));
  const orders = cluster.logs.create("orders");
  Object.defineProperty(orders, "log", { value: cluster.log });
  await using client = cluster.client();
  await assert.rejects(client.log("orders").read(0), isFault("corrupt"));
});

test("closing the client waits for the appends of named logs and ends their tails", async () => {
  const cluster = new FakeCluster("a:1");
  const { log } = cluster.logs.create("orders");
  const client = cluster.client();
  const orders = client.log("orders");
  await orders.bounds();
  const tail = orders.follow(0);
  const ready = tail.ready();
  const producing = orders.producer({ lingerMs: 60_000 }).send("a");
  const appending = client.log("orders").append(run("b"));
  await client[Symbol.asyncDispose]();
  await Promise.all([producing, appending]);
  assert.equal(log.next, 2);
  assert.equal(await ready, true, "the record arrived before the end");
  assert.equal(await tail.ready(), false);
});

test("a name or an id that is not one is rejected without a request", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  for (const name of ["", undefined, null, 5, {}])
    assert.throws(() => client.log(name as never), isFault("bad-request"));
  for (const id of ["", 5, {}])
    assert.throws(() => client.log("orders", { id: id as never }), isFault("bad-request"));
  assert.throws(() => client.log("default", { id: "7-1" }), isFault("bad-request"));
  assert.equal(cluster.node("a:1").calls.length, 0);
});

test("a response for another log than the known one is refused with an unknown outcome", async () => {
  const cluster = new FakeCluster("a:1");
  const orders = cluster.logs.create("orders");
  await using client = cluster.client();
  const log = client.log("orders");
  await log.append(run("0"));
  Object.defineProperty(orders, "id", { value: "7-9" });
  cluster.logs.open = () => orders; // a node that ignores the id
  await assert.rejects(log.append(run("1")), isFault("failed-precondition", "unknown", "ANOTHER_LOG"));
});
