/** The Durable Streams protocol at a node that lags, and beside a deletion: what is written is never said to be refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Freshness } from "../../../src/types.ts";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { accessAs, serveNode } from "../../support/http/serve-node.ts";
import { run } from "../../support/log/logs.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { replaceAfterInfo, type Shown, shownBy } from "../../support/log/shown-logs.ts";
import { scratchDirectory } from "../../support/scratch.ts";

const text = { "content-type": "text/plain" };
const path = "/v1/stream/s";

async function servedAs(shown: Shown, options: { readonly heartbeatMs?: number } = {}) {
  const directory = scratchDirectory();
  const node = await openOneNode(directory.path);
  const { log } = node.replica;
  const served = await serve({ log, named: shownBy(log.named, shown), ...options });
  return {
    log,
    info: () => log.named.open({ name: "s" }).info(),
    ask: (method: string, asked: string, body?: string, headers: Record<string, string> = {}) =>
      curl(`${served.url}${asked}`, { method, headers, ...(body === undefined ? {} : { body }) }),
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

test("a node that lags refuses no append because of an earlier log of the name, or of an earlier content type", async () => {
  const shown: Shown = {};
  await using node = await servedAs(shown);
  await node.ask("PUT", path, "old", text);
  const earlier = await node.info();
  await node.ask("DELETE", path);
  await node.ask("PUT", path, undefined, { "content-type": "application/json" });
  shown.stale = earlier;
  const append = await node.ask("POST", path, "[1]", { "content-type": "application/json" });
  assert.deepEqual([append.status, append.headers["stream-next-offset"]], [204, "0000000000000001"]);
  // The type of the earlier log is the stated one.
  const wrong = await node.ask("POST", path, "x", text);
  assert.deepEqual([wrong.status, wrong.json["reason"]], [409, "CONTENT_TYPE"]);
  const stated = await node.ask("POST", `${path}?log_id=${earlier.life}-${earlier.id}`, "x", text);
  assert.deepEqual([stated.status, stated.json["reason"]], [409, "ANOTHER_LOG"]);
  const closing = { "stream-closed": "true" };
  assert.equal((await node.ask("POST", path, undefined, closing)).status, 204);
  shown.stale = undefined;
  assert.equal((await node.ask("GET", path)).text, "[1]");
});

test("a refusal states the end of a closed stream as it is, or none", async () => {
  const shown: Shown = {};
  await using node = await servedAs(shown);
  await node.ask("PUT", path, "1", text);
  shown.stale = await node.info();
  const closing = { ...text, "stream-closed": "true" };
  await node.log.append({ bytes: new Uint8Array([10, 3, 18, 1, 50]), count: 1 }, { log: { name: "s" } });
  await node.log.append(
    { bytes: new Uint8Array(0), count: 0 },
    { log: { name: "s" }, stream: { closes: true } },
  );
  const late = await node.ask("POST", path, "3", closing);
  assert.deepEqual([late.status, late.headers["stream-next-offset"]], [409, "0000000000000002"]);
  // Another log gets the name between the refusal and its response.
  shown.before = async (mode) => {
    if (mode !== "linearizable") return;
    shown.before = undefined;
    await node.log.named.change({ kind: "delete", log: { name: "s" } });
    await node.log.named.change({ kind: "create", name: "s", settings: { contentType: "text/plain" } });
  };
  const other = await node.ask("POST", path, "4", closing);
  assert.equal(other.status, 409);
  for (const name of ["stream-next-offset", "stream-closed"]) assert.equal(other.headers[name], undefined);
});

test("a stream that is deleted when its request has closed it: the request has succeeded", async () => {
  const shown: Shown = {};
  await using node = await servedAs(shown);
  const deleteBefore = async (mode: Freshness["mode"]): Promise<void> => {
    if (mode !== "linearizable") return;
    shown.before = undefined;
    await node.log.named.change({ kind: "delete", log: { name: "s" } });
    await node.log.named.change({ kind: "create", name: "s", settings: { contentType: "text/plain" } });
  };
  const closing = { ...text, "stream-closed": "true" };
  shown.before = deleteBefore;
  const put = await node.ask("PUT", path, "first", closing);
  assert.deepEqual(
    [put.status, put.headers["stream-next-offset"], put.headers["stream-closed"]],
    [201, "0000000000000001", "true"],
  );
  shown.before = deleteBefore;
  const post = await node.ask("POST", path, "last", closing);
  assert.deepEqual([post.status, post.headers["stream-next-offset"]], [204, "0000000000000001"]);
});

test("a log that is deleted before a create has looked at it is created, by every door", async () => {
  const shown: Shown = {};
  await using node = await servedAs(shown);
  const json = { "content-type": "application/json" };
  const rpc = { name: "s", settings: { contentType: "a/b" }, ifNotExists: true };
  const asked: [number, string, string, string | undefined, Record<string, string>][] = [
    [201, "PUT", path, "[1]", json],
    [201, "PUT", "/logs/s", '{"content_type":"a/b"}', {}],
    [200, "POST", "/log.v1.Logs/CreateLog", JSON.stringify(rpc), json],
  ];
  for (const [status, method, at, body, headers] of asked) {
    await node.log.named.change({ kind: "create", name: "s", settings: { contentType: "text/plain" } });
    shown.before = async () => {
      shown.before = undefined;
      await node.log.named.change({ kind: "delete", log: { name: "s" } });
    };
    const made = await node.ask(method, at, body, headers);
    assert.deepEqual([made.status, shown.before], [status, undefined], `${at} ${made.text}`);
    assert.notEqual((await node.info()).settings.contentType, "text/plain");
    await node.log.named.change({ kind: "delete", log: { name: "s" } });
  }
});

test("one who may create but not describe learns nothing about the records of a stream that is there", async () => {
  let subject = "root";
  const rules = ["p, root, *, *", "p, maker, *, create", "p, looker, *, create", "p, looker, *, describe"];
  await using node = await serveNode({ access: await accessAs(rules.join("\n"), () => subject) });
  const put = async (as: string, asked = path) => {
    subject = as;
    const { status, headers } = await node.ask("PUT", asked, undefined, { ...text, "stream-ttl": "60" });
    return [status, headers["stream-next-offset"], headers["stream-ttl"]];
  };
  assert.deepEqual(await put("root"), [201, "0000000000000000", "60"]);
  assert.equal((await node.ask("POST", path, "a", text)).status, 204);
  assert.deepEqual(await put("looker"), [200, "0000000000000001", "60"]);
  assert.deepEqual(await put("maker"), [200, undefined, "60"]);
  assert.deepEqual(await put("maker", "/v1/stream/own"), [201, "0000000000000000", "60"]);
});

test("a stream that differs in a time of expiry which no date can state is refused", async () => {
  await using node = await serveNode();
  const settings = JSON.stringify({ content_type: "text/plain", expires_at_ms: Number.MAX_SAFE_INTEGER });
  assert.equal((await node.ask("PUT", "/logs/s", settings)).status, 201);
  const put = await node.ask("PUT", path, undefined, text);
  assert.deepEqual([put.status, put.json["code"]], [409, "already_exists"]);
  assert.match(String(put.json["message"]), /Stream-Expires-At is 9999-12-31T23:59:59\.999Z/);
});

test("a poll that ends beside an append, or the end of the stream, does not pass over the record", async () => {
  const shown: Shown = {};
  await using node = await servedAs(shown, { heartbeatMs: 1 });
  await node.ask("PUT", path, "0", text);
  for (const [next, stream] of [[1, {}] as const, [2, { closes: true }] as const]) {
    // The first description is that of the start, the second one that at the end of the wait.
    let left = 2;
    shown.before = async () => {
      if (--left > 0) return;
      shown.before = undefined;
      await node.log.append(run("1"), { log: { name: "s" }, stream });
    };
    const polled = await node.ask("GET", `${path}?offset=000000000000000${next}&live=long-poll`);
    assert.deepEqual(
      ["stream-next-offset", "stream-up-to-date", "stream-closed"].map((name) => polled.headers[name]),
      [`000000000000000${next}`, undefined, undefined],
    );
    assert.deepEqual([polled.status, shown.before], [204, undefined]);
  }
  const last = await node.ask("GET", `${path}?offset=0000000000000002&live=long-poll`);
  assert.deepEqual([last.text, last.headers["stream-closed"]], ["1", "true"]);
});

test("a request by name that finds its log deleted and created again is not found, by every route", async () => {
  const shown: Shown = {};
  await using node = await servedAs(shown);
  const settings = { contentType: "text/plain" };
  await node.log.named.change({ kind: "create", name: "s", settings });
  const one = run("1");
  const asked: [string, string, undefined?, Record<string, string>?][] = [
    ["GET", "/logs/s?offset=0"],
    ["HEAD", "/logs/s?offset=0"],
    ["GET", "/logs/s?from=0"],
    ["GET", "/logs/s?from=start", undefined, { accept: "application/x-ndjson" }],
    ["GET", "/tail?log=s&from=start", undefined, { accept: "application/x-ndjson" }],
    ["GET", path],
    ["GET", `${path}?offset=-1&live=long-poll`],
    ["GET", `${path}?offset=-1&live=sse`],
    ["PUT", "/v1/stream/fork", undefined, { "stream-forked-from": path }],
  ];
  for (const [method, at, body, headers] of asked) {
    await node.log.append(one, { log: { name: "s" } });
    replaceAfterInfo(node.log.named, shown, "s");
    const answer = await node.ask(method, at, body, headers);
    assert.deepEqual([answer.status, shown.after], [404, undefined], `${method} ${at} ${answer.text}`);
    if (method !== "HEAD") {
      assert.deepEqual([answer.json["code"], answer.json["reason"]], ["not_found", "NO_SUCH_LOG"], at);
    }
  }
  // A request that states the id is told that the name means another log.
  await node.log.append(one, { log: { name: "s" } });
  const { life, id } = await node.info();
  for (const at of [`/logs/s?offset=0&log_id=${life}-${id}`, `${path}?log_id=${life}-${id}`]) {
    const stated = await node.ask("GET", at);
    assert.equal(stated.status, 200, stated.text);
  }
  replaceAfterInfo(node.log.named, shown, "s");
  const stated = await node.ask("GET", `/logs/s?offset=0&log_id=${life}-${id}`);
  assert.deepEqual([stated.status, stated.json["reason"]], [409, "ANOTHER_LOG"]);
});
