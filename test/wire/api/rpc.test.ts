/** The RPCs of log.v1.Log that neither append nor read, and what JSON, GET and unknown paths get. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import type { WatchEvent } from "../../../src/gen/log/v1/log_pb.js";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { collect, failing, inEachProtocol, tailsOpen } from "./rpc-protocols.ts";

inEachProtocol("the log and the cluster", (open) => {
  test("Trim raises the lowest offset, and reads below it are out_of_range", async () => {
    await using served = await open();
    await served.client.produceBatch({ records: [{}, {}, {}, {}] });
    assert.equal((await served.client.trim({ beforeOffset: 2n })).lowestOffset, 2n);
    assert.equal((await served.client.trim({ beforeOffset: 1n })).lowestOffset, 2n);
    const { fault } = await failing(() => served.client.consume({ offset: 1n }));
    assert.equal(fault.facts["lowest"], 2);
    const stream = await failing(() => collect(served.client.consumeStream({ offset: 1n })));
    assert.equal(stream.error.code, Code.OutOfRange);
  });

  test("Describe, GetServers and Watch report the log and the cluster", async () => {
    await using served = await open();
    await served.client.produceBatch({ records: [{}, {}] });
    const description = await served.client.describe({});
    assert.deepEqual([description.lowestOffset, description.nextOffset], [0n, 2n]);
    assert.deepEqual([description.nodeId, description.clusterId, description.sync], ["test", "c", "always"]);
    const { servers } = await served.client.getServers({});
    assert.deepEqual(
      servers.map(({ id, isLeader, role, lastOffset }) => [id, isLeader, role, lastOffset]),
      [["test", true, "leader", 1n]],
    );
    const stop = new AbortController();
    const seen = new Set<WatchEvent["event"]["case"]>();
    let recordsIn = 0n;
    const { error } = await failing(async () => {
      for await (const { event } of served.client.watch({ intervalMs: 100 }, { signal: stop.signal })) {
        if (event.case === "segments") await served.client.produceBatch({ records: [{}, {}, {}] });
        seen.add(event.case);
        if (event.case !== "throughput") continue;
        recordsIn += event.value.recordsIn;
        if (event.value.nextOffset === 5n) stop.abort();
      }
    });
    assert.equal(error.code, Code.Canceled);
    assert.deepEqual([...seen], ["cluster", "segments", "throughput"]);
    assert.equal(recordsIn, 3n);
    const fast = await failing(() => collect(served.client.watch({ intervalMs: 1 })));
    assert.equal(fast.error.code, Code.InvalidArgument);
  });

  test("a server that stops ends its streams with unavailable", async () => {
    await using served = await open();
    const tail = failing(() => collect(served.client.consumeStream({})));
    await tailsOpen(served, 1);
    served.service.drain();
    const { error, fault } = await tail;
    assert.equal(error.code, Code.Unavailable);
    assert.equal(fault.written, "no");
  });
});

test("a Connect GET request reads a record", async () => {
  await using served = await serve();
  await curl(served.url, { method: "POST", body: '{"record":{"value":"YQ=="}}' });
  const query = `encoding=json&message=${encodeURIComponent('{"offset":"0"}')}`;
  const answer = await curl(`${served.url}/log.v1.Log/Consume?${query}`);
  assert.equal(answer.status, 200);
  assert.equal((answer.json["record"] as Record<string, unknown>)["value"], "YQ==");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.equal((await curl(`${served.url}/log.v1.Log/Produce?${query}`)).status, 405);
});

test("JSON over HTTP/1.1 includes zeros, and errors carry details", async () => {
  await using served = await serve();
  const call = (method: string, body: string, headers: Record<string, string> = {}) =>
    curl(`${served.url}/log.v1.Log/${method}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
  const produced = await call("Produce", '{"record":{"value":"YQ=="},"unknown":1}');
  assert.deepEqual(produced.json, { offset: "0", timestampMs: String(served.log.nowMs), duplicate: false });
  const missing = await call("Consume", '{"offset":"4"}');
  assert.equal(missing.status, 400);
  assert.equal(missing.json["code"], "out_of_range");
  const [info] = missing.json["details"] as { type: string; debug: { reason: string; metadata: object } }[];
  assert.equal(info?.type, "google.rpc.ErrorInfo");
  assert.deepEqual(info.debug.metadata, { written: "no", offset: "4", lowest: "0", next: "1" });
  assert.equal((await call("Produce", '{"record":')).status, 400);
  assert.equal((await call("Produce", '{"record":{"value":"!!"}}')).status, 400);
});

test("an RPC path that does not exist is refused in the protocol of the client", async () => {
  await using served = await serve();
  const nowhere = await curl(`${served.url}/log.v1.Log/Nope`, { method: "POST" });
  assert.equal(nowhere.status, 404);
  assert.match(String(nowhere.json["message"]), /no method \/log\.v1\.Log\/Nope/);
  const verb = await curl(`${served.url}/log.v1.Log/Produce`, { method: "PUT" });
  assert.deepEqual([verb.status, verb.headers["allow"]], [405, "POST"]);
  const type = await curl(`${served.url}/log.v1.Log/Produce`, { method: "POST", body: "{}" });
  assert.equal(type.status, 415);
  assert.match(String(type.json["message"]), /application\/json/);
  const bidi = await curl(`${served.url}/log.v1.Log/ProduceStream`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
  });
  assert.equal(bidi.status, 505);
});

test("a timeout that is longer than a timer can run is ignored", async () => {
  await using served = await serve();
  const headers = { "content-type": "application/json", "connect-timeout-ms": "9999999999" };
  const answer = await curl(`${served.url}/log.v1.Log/Describe`, { method: "POST", body: "{}", headers });
  assert.equal(answer.status, 200);
});
