/** Forks of streams, and reads that extend their life, at a node and at a node that follows. The public suite: test/long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { accessAs, serveNode } from "../../support/http/serve-node.ts";
import { SocketCluster } from "../../support/peer/socket-cluster.ts";

const text = { "content-type": "text/plain" };
const from = (source: string, offset?: number, sub?: string): Record<string, string> => ({
  "stream-forked-from": `/v1/stream/${source}`,
  ...(offset === undefined ? {} : { "stream-fork-offset": String(offset).padStart(16, "0") }),
  ...(sub === undefined ? {} : { "stream-fork-sub-offset": sub }),
});

test("a fork is a named log: every door reads it, and its source is gone for all of them once it is deleted", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/v1/stream/a", "one", text);
  await node.ask("POST", "/v1/stream/a", "two", text);
  const made = await node.ask("PUT", "/v1/stream/b", "three", from("a", 1, "2"));
  assert.deepEqual([made.status, made.headers["stream-next-offset"]], [201, "0000000000000003"]);
  assert.equal((await node.ask("PUT", "/v1/stream/b", "three", from("a", 1, "2"))).status, 200);
  assert.equal((await node.ask("PUT", "/v1/stream/b", undefined, text)).status, 409, "b is a fork");
  assert.equal((await node.ask("GET", "/v1/stream/b")).text, "onetwthree");
  const raw = { accept: "application/octet-stream" };
  assert.equal((await node.ask("GET", "/logs/b?offset=1", undefined, raw)).text, "tw");
  assert.equal((await node.ask("DELETE", "/v1/stream/a")).status, 204);
  const gone = await node.ask("GET", "/v1/stream/a");
  assert.deepEqual([gone.status, gone.json["code"]], [410, "not_found"]);
  assert.match(String(gone.json["message"]), /is kept for its forks/);
  const asked: [number, string, string, Record<string, string>][] = [
    [410, "GET", "/v1/stream/a?offset=-1&live=sse", {}],
    [410, "HEAD", "/v1/stream/a", {}],
    [410, "POST", "/v1/stream/a", text],
    [410, "DELETE", "/v1/stream/a", {}],
    [409, "PUT", "/v1/stream/a", text],
    [409, "PUT", "/v1/stream/c", from("a")],
    [409, "PUT", "/logs/a", {}],
    [404, "GET", "/logs/a?offset=0", {}],
    [404, "GET", "/tail?log=a", {}],
    [404, "DELETE", "/logs/a", {}],
  ];
  for (const [status, method, path, headers] of asked)
    assert.equal(
      (await node.ask(method, path, method === "POST" ? "x" : undefined, headers)).status,
      status,
      path,
    );
  const listed = await node.ask("GET", "/logs");
  assert.doesNotMatch(listed.text, /"name":"a"/);
  assert.equal((await node.ask("GET", "/v1/stream/b?offset=0000000000000001")).text, "twthree");
});

test("a fork needs consume and trim on its source, and what cannot be forked is refused with nothing created", async () => {
  // A source with forks is not trimmed.
  const actions = ["create", "produce"].flatMap((action) =>
    ["none", "read", "cut", "both"].map((name) => `p, eve, ${name}, ${action}`),
  );
  const more = ["p, eve, read, consume", "p, eve, cut, trim", "p, eve, both, consume", "p, eve, both, trim"];
  const access = await accessAs([...actions, ...more, "p, eve, b, create"].join("\n"), () => "eve");
  {
    await using node = await serveNode({ access });
    for (const [name, status] of Object.entries({ none: 403, read: 403, cut: 403, both: 201 })) {
      await node.ask("PUT", `/v1/stream/${name}`, "one", text);
      assert.equal((await node.ask("PUT", "/v1/stream/b", undefined, from(name))).status, status, name);
    }
  }
  await using node = await serveNode();
  await node.ask("PUT", "/v1/stream/a", "one", text);
  const refused: [number, Record<string, string>][] = [
    [400, { "stream-forked-from": "a" }],
    [400, { "stream-forked-from": "/v1/stream/default" }],
    [400, { "stream-fork-offset": "0000000000000000" }],
    [400, from("a", 2)],
    [400, from("a", 0, "4")],
    [400, from("a", 1, "1")],
    [400, from("a", 0, "01")],
    [404, from("none")],
    [409, { ...from("a"), "content-type": "application/json" }],
    [412, { ...from("a"), "if-none-match": "*" }],
  ];
  await node.ask("PUT", "/v1/stream/there", undefined, from("a"));
  for (const [status, headers] of refused) {
    const path = status === 412 ? "/v1/stream/there" : "/v1/stream/b";
    assert.equal((await node.ask("PUT", path, undefined, headers)).status, status, JSON.stringify(headers));
  }
  const missing = await node.ask("GET", "/v1/stream/b");
  assert.equal(missing.status, 404);
  assert.match(String(missing.json["message"]), /^there is no stream "b"\. PUT of its URL creates it/);
});

test("a GET with If-Match is refused unless it states the ETag of its response", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/v1/stream/a", "one", text);
  const { etag } = (await node.ask("GET", "/v1/stream/a")).headers;
  const get = async (query: string, tag: string): Promise<number> =>
    (await node.ask("GET", `/v1/stream/a${query}`, undefined, { "if-match": tag })).status;
  assert.deepEqual([await get("", String(etag)), await get("", "*"), await get("", '"x"')], [200, 200, 412]);
  assert.deepEqual([await get("?offset=now", '"x"'), await get("?offset=-1&live=sse", '"x"')], [412, 400]);
  assert.equal((await node.ask("HEAD", "/v1/stream/a", undefined, { "if-match": '"x"' })).status, 400);
});

test("a fork is made and read at a node that follows, also after its source is hidden, and a read there counts", async () => {
  await using cluster = await SocketCluster.open(3, {});
  const [one, other] = cluster.followers(await cluster.leader()).map(({ up }) => up!.replica.log);
  await using first = await serve({ log: one!, named: one!.named });
  await using second = await serve({ log: other!, named: other!.named });
  const put = (
    url: string,
    path: string,
    headers: Record<string, string>,
    body = "",
  ): Promise<{ status: number }> => curl(`${url}/v1/stream/${path}`, { method: "PUT", headers, body });
  assert.equal((await put(first.url, "a", { ...text, "stream-ttl": "12" }, "one")).status, 201);
  assert.equal((await put(second.url, "b", from("a", 0, "2"))).status, 201);
  assert.equal((await put(first.url, "b", from("a", 0, "2"))).status, 200);
  assert.equal((await curl(`${first.url}/v1/stream/a`, { method: "DELETE" })).status, 204);
  for (const { url } of [first, second]) {
    assert.equal((await curl(`${url}/v1/stream/b`)).text, "on");
    assert.equal((await curl(`${url}/v1/stream/a?log_id=`, { method: "HEAD" })).status, 400);
    assert.equal((await curl(`${url}/v1/stream/a`, { method: "HEAD" })).status, 410);
  }
  // Three seconds are the quarter of its time after which a read counts.
  const touched = async (): Promise<number> => {
    await curl(`${second.url}/v1/stream/b`);
    return (await cluster.leader()).up!.replica.storedLog.state.logs.named("b")?.touchedMs ?? 0;
  };
  const before = Date.now();
  while ((await touched()) === 0) assert.ok(Date.now() - before < 30_000);
});
