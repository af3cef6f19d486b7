import assert from "node:assert/strict";
import { test } from "node:test";
import type { NamedLogInfo } from "../../../../src/client/public-api.ts";
import { Fault } from "../../../../src/fault.ts";
import { FakeCluster } from "../fake-cluster.ts";

const namesOf = async (logs: AsyncIterable<NamedLogInfo>): Promise<string[]> => {
  const names: string[] = [];
  for await (const { name } of logs) names.push(name);
  return names;
};

test("a log is created, changed, closed and deleted", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  await using client = cluster.client({ seeds: ["b:1"] });
  const { logs } = client;
  const made = await logs.create("orders", { maxBytes: 100, contentType: "text/plain" });
  assert.partialDeepStrictEqual(made, {
    name: "orders",
    id: "7-1",
    options: { maxBytes: 100, contentType: "text/plain" },
    lowest: 0,
    next: 0,
    closed: false,
  });
  await assert.rejects(logs.create("orders"), { kind: "already-exists" });
  assert.equal((await logs.create("orders", {}, { ifNotExists: true })).id, "7-1");
  assert.deepEqual((await logs.update("orders", { maxBytes: null, recordBytesMax: 5 })).options, {
    recordBytesMax: 5,
    contentType: "text/plain",
  });
  assert.equal((await logs.close("orders")).closed, true);
  assert.equal((await logs.get("orders")).closed, true);
  await logs.delete("orders");
  await assert.rejects(logs.get("orders"), { kind: "not-found" });
  await assert.rejects(logs.delete("orders"), { kind: "not-found" });
  const { calls } = cluster.node("b:1");
  assert.deepEqual(
    calls.filter((call) => call.endsWith("Log")),
    [],
    "the leader is asked",
  );
});

test("logs are listed page by page, also over empty pages", async () => {
  const cluster = new FakeCluster("a:1");
  for (const name of ["a/1", "b/1", "a/2", "c"]) cluster.logs.create(name);
  await using client = cluster.client();
  assert.deepEqual(await namesOf(client.logs.list()), ["a/1", "a/2", "b/1", "c"]);
  assert.deepEqual(await namesOf(client.logs.list({ prefix: "a/" })), ["a/1", "a/2"]);
  assert.deepEqual(await namesOf(client.logs.list({ prefix: "none" })), []);
  cluster.node("a:1").calls.length = 0;
  for await (const _ of client.logs.list()) break;
  assert.deepEqual(cluster.node("a:1").calls, ["listLogs"], "the next page is read when it is needed");
});

test("a change of a stated id does not reach another log of the same name", async () => {
  const cluster = new FakeCluster("a:1");
  const { id } = cluster.logs.create("orders");
  cluster.logs.named.delete("orders");
  cluster.logs.create("orders");
  await using client = cluster.client();
  const refused = { kind: "failed-precondition" };
  await assert.rejects(client.logs.update("orders", { maxBytes: 1 }, { id }), refused);
  await assert.rejects(client.logs.close("orders", { id }), refused);
  await assert.rejects(client.logs.delete("orders", { id }), refused);
  await assert.rejects(client.logs.get("orders", { id }), refused);
  assert.equal(cluster.logs.named.size, 1);
});

test("a repeated delete that finds the log gone has deleted it", async () => {
  const cluster = new FakeCluster("a:1");
  cluster.logs.create("orders");
  await using client = cluster.client();
  let deletes = 0;
  const { open } = cluster.logs;
  cluster.logs.open = (request) => {
    const log = open.call(cluster.logs, request);
    if (cluster.node("a:1").calls.at(-1) !== "deleteLog" || ++deletes > 1) return log;
    cluster.logs.named.delete("orders");
    throw new Fault("interrupted", { written: "unknown" });
  };
  await client.logs.delete("orders");
  assert.equal(cluster.logs.named.size, 0);
  assert.equal(cluster.node("a:1").calls.filter((call) => call === "deleteLog").length, 2);
});

test("a subject that may delete and not describe can delete", async () => {
  const cluster = new FakeCluster("a:1");
  cluster.logs.create("orders");
  cluster.node("a:1").denied = ["getLog"];
  await using client = cluster.client();
  await client.logs.delete("orders");
  assert.equal(cluster.logs.named.size, 0);
});

test("invalid arguments are rejected without a request", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const { logs } = client;
  const refused = { kind: "bad-request" };
  await assert.rejects(logs.create(""), refused);
  await assert.rejects(logs.create("orders", { maxBytes: -1 }), refused);
  await assert.rejects(logs.create("orders", 5 as never), refused);
  await assert.rejects(logs.update("orders", {}), refused);
  await assert.rejects(logs.get(5 as never), refused);
  await assert.rejects(logs.get("orders", { signal: 5 as never }), refused);
  assert.equal(cluster.node("a:1").calls.length, 0);
});

test("a signal ends a call with its reason", async () => {
  const cluster = new FakeCluster("a:1");
  cluster.node("a:1").isDown = true;
  await using client = cluster.client();
  const stop = new AbortController();
  const getting = client.logs.get("orders", { signal: stop.signal });
  const reason = new Error("closed");
  stop.abort(reason);
  await assert.rejects(getting, (thrown) => thrown === reason);
});
