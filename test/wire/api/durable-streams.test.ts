/** The Durable Streams protocol at a node, at a node that follows, and with its public client. The public suite: test/long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DurableStream, IdempotentProducer } from "@durable-streams/client";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { accessAs, serveNode } from "../../support/http/serve-node.ts";
import { SocketCluster } from "../../support/peer/socket-cluster.ts";
import { until } from "../../support/until.ts";

const text = { "content-type": "text/plain" };
const producer = (sequence: number, epoch = 0, id = "p") => ({
  ...text,
  "producer-id": id,
  "producer-epoch": String(epoch),
  "producer-seq": String(sequence),
});

test("a stream is a named log: each door shows what the other appended", async () => {
  await using node = await serveNode();
  const made = await node.ask("PUT", "/v1/stream/a/b", "one", text);
  assert.deepEqual([made.status, made.headers["stream-next-offset"]], [201, "0000000000000001"]);
  assert.equal(made.headers["location"], `${node.url}/v1/stream/a/b`);
  assert.equal((await node.ask("POST", "/logs/a/b", "two")).status, 200);
  const read = await node.ask("GET", "/v1/stream/a/b");
  assert.deepEqual([read.status, read.text], [200, "onetwo"]);
  assert.equal(read.headers["stream-up-to-date"], "true");
  assert.equal(read.headers["cache-control"], "public, no-cache");
  const described = await node.ask("GET", "/logs/a/b");
  assert.deepEqual(described.json["settings"], { content_type: "text/plain" });
  const back = await node.ask("GET", "/logs/a/b?offset=0", undefined, { accept: "application/octet-stream" });
  assert.equal(back.text, "one");
});

test("requests of a producer that arrive together are appended once and in order", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/v1/stream/s", undefined, text);
  const append = (sequence: number, epoch?: number) =>
    node.ask("POST", "/v1/stream/s", `${sequence},`, producer(sequence, epoch));
  assert.equal((await append(0)).status, 200);
  // One after another on one connection, and all at once: what comes too early is told what is expected.
  const answers = await Promise.all([1, 1, 2, 2, 3, 3].map((sequence) => append(sequence)));
  for (const { status } of answers) assert.ok([200, 204, 409].includes(status), String(status));
  for (let sequence = 1; sequence <= 3; sequence++)
    assert.ok([200, 204].includes((await append(sequence)).status));
  assert.equal((await node.ask("GET", "/v1/stream/s")).text, "0,1,2,3,");
  const early = await append(9);
  assert.deepEqual(
    [early.status, early.headers["producer-expected-seq"], early.headers["producer-received-seq"]],
    [409, "4", "9"],
  );
  const again = await append(0);
  assert.deepEqual([again.status, again.headers["producer-seq"]], [204, "3"]);
  assert.equal((await append(0, 1)).status, 200);
  const fenced = await append(4, 0);
  assert.deepEqual([fenced.status, fenced.headers["producer-epoch"]], [403, "1"]);
  assert.equal(fenced.json["code"], "failed_precondition");
});

test("a stream that is followed is read long before a short time to live is over", async () => {
  await using node = await serveNode();
  await Promise.all(
    ["sse", "long-poll"].map(async (live) => {
      await node.ask("PUT", `/v1/stream/${live}`, undefined, { ...text, "stream-ttl": "4" });
      const version = async () => (await node.ask("GET", `/logs/${live}`)).json["version"];
      const created = await version();
      const follower = new AbortController();
      const { signal } = follower;
      const followed = fetch(`${node.url}/v1/stream/${live}?offset=-1&live=${live}`, { signal });
      const ended = followed.then((response) => response.text()).catch(() => signal.aborted);
      await until(`a read of ${live} is replicated`, async () => {
        const found = await version();
        assert.ok(found !== undefined, "the stream was deleted");
        return found !== created;
      });
      follower.abort();
      await ended;
    }),
  );
});

test("a stream is closed with its last append, and every later one is refused by every door", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/v1/stream/s", "a", text);
  const closes = { ...text, "stream-closed": "true" };
  const [closed, ...late] = await Promise.all([
    node.ask("POST", "/v1/stream/s", "b", closes),
    node.ask("POST", "/v1/stream/s", "c", closes),
  ]);
  const statuses = [closed.status, ...late.map(({ status }) => status)].sort();
  assert.deepEqual(statuses, [204, 409]);
  const read = await node.ask("GET", "/v1/stream/s");
  assert.match(read.text, /^a[bc]$/);
  assert.equal(read.headers["stream-closed"], "true");
  assert.equal((await node.ask("POST", "/logs/s", "d")).status, 409);
  const refused = await node.ask("POST", "/v1/stream/s", "e", text);
  assert.deepEqual(
    [refused.status, refused.headers["stream-closed"], refused.headers["stream-next-offset"]],
    [409, "true", "0000000000000002"],
  );
  assert.equal((await node.ask("POST", "/v1/stream/s", undefined, { "stream-closed": "true" })).status, 204);
});

test("a repeated PUT completes one that ended after the log was created", async () => {
  await using node = await serveNode();
  assert.equal((await node.ask("PUT", "/logs/s", '{"content_type":"text/plain"}')).status, 201);
  const again = await node.ask("PUT", "/v1/stream/s", "first", text);
  assert.deepEqual([again.status, again.headers["stream-next-offset"]], [200, "0000000000000001"]);
  assert.equal((await node.ask("PUT", "/v1/stream/s", "first", text)).status, 200);
  assert.equal((await node.ask("GET", "/v1/stream/s")).text, "first");
  const other = await node.ask("PUT", "/v1/stream/s", undefined, { ...text, "stream-ttl": "60" });
  assert.deepEqual([other.status, other.json["code"]], [409, "already_exists"]);
  assert.match(String(other.json["message"]), /another configuration: Stream-TTL is absent, asked was 60$/);
  const json = { "content-type": "application/json", "stream-closed": "true" };
  const second = await node.ask("PUT", "/v1/stream/s", undefined, json);
  assert.match(
    String(second.json["message"]),
    /: the content type is text\/plain, asked was application\/json; it is open$/,
  );
});

test("a condition is obeyed or its request refused, and nothing is written or deleted against it", async () => {
  await using node = await serveNode();
  const path = "/v1/stream/s";
  const created = await node.ask("PUT", path, "one", { ...text, "if-none-match": "*" });
  assert.equal(created.status, 201);
  const id = String(created.headers["tailrace-log-id"]);
  const refused: [number, string, string, Record<string, string>][] = [
    [412, "PUT", path, { "if-none-match": "*" }],
    [400, "PUT", path, { "if-none-match": '"x"' }],
    [400, "PUT", `${path}?log_id=${id}`, {}],
    [409, "POST", path, { "tailrace-expected-offset": "99" }],
    [409, "POST", `${path}?log_id=1-999`, {}],
    [409, "DELETE", `${path}?log_id=1-999`, {}],
    [409, "GET", `${path}?log_id=1-999`, {}],
    [409, "GET", `${path}?log_id=1-999&offset=-1&live=sse`, {}],
    [409, "GET", `${path}?log_id=1-999&offset=now&live=long-poll`, {}],
    [409, "HEAD", `${path}?log_id=1-999`, {}],
    [400, "GET", `${path}?log_id=x`, {}],
    [400, "DELETE", `${path}?log_id=${id}&log_id=1-999`, {}],
    [400, "DELETE", path, { "tailrace-expected-offset": "99" }],
  ];
  for (const name of ["if-match", "if-none-match"])
    for (const method of ["POST", "DELETE"]) refused.push([400, method, path, { [name]: "*" }]);
  for (const name of ["tailrace-producer", "tailrace-key", "tailrace-key-base64"])
    for (const method of ["POST", "PUT"]) refused.push([400, method, path, { [name]: "a" }]);
  for (const [status, method, asked, headers] of refused) {
    const body = method === "POST" || method === "PUT" ? "more" : undefined;
    const answer = await node.ask(method, asked, body, { ...text, ...headers });
    assert.equal(answer.status, status, `${method} ${asked} ${JSON.stringify(headers)}`);
  }
  assert.equal((await node.ask("GET", path)).text, "one");
  const stated = `${path}?log_id=${id}&unknown=1`;
  const append = await node.ask("POST", stated, "two", { ...text, "tailrace-expected-offset": "1" });
  assert.deepEqual([append.status, append.headers["tailrace-log-id"]], [204, id]);
  assert.equal((await node.ask("GET", stated)).text, "onetwo");
  assert.equal((await node.ask("HEAD", stated)).headers["tailrace-log-id"], id);
  assert.equal((await node.ask("DELETE", stated)).status, 204);
  assert.equal((await node.ask("GET", path)).status, 404);
});

test("what a cache keeps of the end of a stream, it asks for again, and finds another type or stream", async () => {
  await using node = await serveNode();
  const path = "/v1/stream/s";
  await node.ask("PUT", path, "1", text);
  const ask = async (query = "", etag?: string) => {
    const known: Record<string, string> = etag === undefined ? {} : { "if-none-match": etag };
    const { status, headers } = await node.ask("GET", path + query, undefined, known);
    return { status, etag: String(headers["etag"]), caching: headers["cache-control"] };
  };
  const live = "?offset=0000000000000000&live=long-poll";
  const [before, polled] = [await ask(), await ask(live)];
  assert.deepEqual([before.caching, polled.caching], ["public, no-cache", "public, no-cache"]);
  assert.deepEqual([(await ask("", before.etag)).status, (await ask(live, polled.etag)).status], [304, 304]);
  await node.ask("PATCH", "/logs/s", '{"content_type":"application/json"}');
  const typed = await ask("", before.etag);
  assert.equal(typed.status, 200, "an array now");
  await node.ask("DELETE", path);
  await node.ask("PUT", path, "1", { "content-type": "application/json" });
  assert.equal((await ask("", typed.etag)).status, 200);
  assert.equal((await ask(live, polled.etag)).status, 200);
});

test("events have whole characters, also those that two appends divide", async () => {
  await using node = await serveNode();
  const append = (...bytes: number[]) => node.ask("POST", "/v1/stream/s", Uint8Array.from(bytes), text);
  await node.ask("PUT", "/v1/stream/s", undefined, text);
  await node.ask("POST", "/v1/stream/s", "x".repeat(66_000), text);
  await append(0xc3);
  await append(0xa9, 0xe2, 0x82, 0xac);
  await append(0x62, 0xe2);
  await node.ask("POST", "/v1/stream/s", undefined, { "stream-closed": "true" });
  const { text: events } = await node.ask("GET", "/v1/stream/s?offset=-1&live=sse");
  const data = events.match(/(?<=event: data\n)data:.*/g)?.map((line) => line.slice(5)) ?? [];
  assert.equal(data.join(""), `${"x".repeat(66_000)}é€b\ufffd`, "the last one is never completed");
  assert.match(
    events,
    /data:\{"streamNextOffset":"0000000000000004","upToDate":true,"streamClosed":true\}\n\n$/,
  );
});

test("records of another door that are not JSON make no invalid array", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/v1/stream/s", "[1]", { "content-type": "application/json" });
  await node.ask("POST", "/logs/s", "1],[2");
  const read = await node.ask("GET", "/v1/stream/s");
  assert.deepEqual([read.status, read.json["reason"]], [409, "NOT_JSON"]);
  assert.equal((await node.ask("GET", "/v1/stream/s?offset=0000000000000002")).text, "[]");
});

test("a trimmed offset is 410, one beyond the end 400, and default is no stream", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/v1/stream/s", "a", text);
  await node.ask("POST", "/v1/stream/s", "b", text);
  const log = node.node.replica.log.named.open({ name: "s" });
  await log.trim(1);
  assert.equal((await node.ask("GET", "/v1/stream/s?offset=0000000000000000")).status, 410);
  assert.equal((await node.ask("GET", "/v1/stream/s?offset=0000000000000009")).status, 400);
  assert.equal((await node.ask("GET", "/v1/stream/s")).text, "b");
  for (const path of ["/v1/stream/", "/v1/stream/default", "/v1/stream/a//b", "/v1/stream/s?live=x"])
    assert.equal((await node.ask("GET", path)).status, 400, path);
  const patch = await node.ask("PATCH", "/v1/stream/s");
  assert.deepEqual([patch.status, patch.headers["allow"]], [405, "GET, HEAD, POST, PUT, DELETE"]);
  const fork = { "stream-forked-from": "/v1/stream/s", "stream-fork-offset": "0000000000000000" };
  assert.equal((await node.ask("PUT", "/v1/stream/f", undefined, fork)).status, 410);
});

test("the permissions are those of named logs: to close a stream is to configure its log", async () => {
  let subject = "root";
  const rules = ["p, root, *, *", "p, writer, *, produce", "p, reader, *, consume", "p, maker, *, create"];
  await using node = await serveNode({ access: await accessAs(rules.join("\n"), () => subject) });
  const status = async (as: string, ...asked: Parameters<typeof node.ask>): Promise<number> => {
    subject = as;
    return (await node.ask(...asked)).status;
  };
  const path = "/v1/stream/s";
  const closing = { ...text, "stream-closed": "true" };
  assert.equal(await status("writer", "PUT", path, undefined, text), 403);
  assert.equal(await status("maker", "PUT", path, "with a body", text), 403);
  assert.equal(await status("maker", "PUT", path, undefined, closing), 403);
  assert.equal(await status("maker", "PUT", path, undefined, text), 201);
  assert.equal(await status("reader", "POST", path, "x", text), 403);
  assert.equal(await status("writer", "POST", path, "x", text), 204);
  assert.equal(await status("writer", "POST", path, "x", closing), 403);
  assert.equal(await status("writer", "GET", path), 403);
  assert.equal(await status("writer", "GET", `${path}?offset=-1&live=sse`), 403);
  assert.equal(await status("reader", "GET", path), 200);
  assert.equal(await status("reader", "HEAD", path), 403);
  assert.equal(await status("writer", "DELETE", path), 403);
  assert.equal(await status("reader", "GET", "/v1/stream/unknown"), 404);
  assert.equal(await status("root", "POST", path, undefined, closing), 204);
  assert.equal(await status("root", "DELETE", path), 204);
});

test("a page of an origin that is not listed is told of --cors-origins", async () => {
  await using node = await serveNode({ origins: { origins: ["https://good.example"], hosts: [] } });
  const preflight = (origin: string) =>
    node.ask("OPTIONS", "/v1/stream/s", undefined, { origin, "access-control-request-method": "PUT" });
  const refused = await preflight("https://bad.example");
  assert.match(refused.text, /https:\/\/bad\.example is not allowed .*--cors-origins/);
  assert.equal(refused.headers["access-control-allow-origin"], undefined);
  assert.match(String(refused.headers["access-control-allow-headers"]), /producer-id.*stream-ttl/);
  const put = await node.ask("PUT", "/v1/stream/s", "x", { ...text, origin: "https://bad.example" });
  assert.deepEqual([put.status, /--cors-origins/.test(put.text)], [403, true]);
  const allowed = await preflight("https://good.example");
  assert.equal(allowed.headers["access-control-allow-origin"], "https://good.example");
});

test("the public client creates, appends, reads and follows a stream at a node that does not lead", async () => {
  await using cluster = await SocketCluster.open(3, {});
  const follower = cluster.followers(await cluster.leader())[0]!.up!.replica.log;
  await using served = await serve({ log: follower, named: follower.named });
  const url = `${served.url}/v1/stream/chat/1`;
  const stream = await DurableStream.create({ url, contentType: "application/json" });
  const writer = new IdempotentProducer(stream, "writer", { autoClaim: true });
  for (let n = 0; n < 20; n++) writer.append(JSON.stringify({ n }));
  await writer.flush();
  await writer.detach();
  const found = await stream.stream<{ n: number }>({ live: false });
  assert.deepEqual(
    (await found.json()).map(({ n }) => n),
    Array.from({ length: 20 }, (_, n) => n),
  );
  const [first, again] = [0, 0].map(() => ({
    method: "POST",
    body: '{"n":-1}',
    headers: { ...producer(0, 0, "other"), "content-type": "application/json" },
  }));
  await curl(url, first!);
  const repeated = await curl(url, again!);
  assert.deepEqual(
    [repeated.status, repeated.headers["stream-next-offset"]],
    [204, "0000000000000021"],
    "a repeated append that is forwarded adds nothing to the end",
  );
  const live = await stream.stream<{ n: number }>({ offset: found.offset, live: "sse" });
  const next = Promise.withResolvers<number>();
  live.subscribeJson((batch) => {
    const found = batch.items.find(({ n }) => n === 20);
    if (found !== undefined) next.resolve(found.n);
  });
  await stream.append(JSON.stringify({ n: 20 }));
  assert.equal(await next.promise, 20);
  live.cancel();
  await stream.close();
  const head = await curl(url, { method: "HEAD" });
  assert.deepEqual([head.status, head.headers["stream-closed"]], [200, "true"]);
  await stream.delete();
  assert.equal((await curl(url)).status, 404);
});
