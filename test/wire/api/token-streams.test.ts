/**
 * What runs with a token ends when the token does: revoked, expired, or with its key. Through every door, with an error that says why.
 * What runs with another token goes on.
 */
import assert from "node:assert/strict";
import { get, type OutgoingHttpHeaders } from "node:http";
import { test } from "node:test";
import { ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Cluster, Log, Logs } from "../../../src/gen/log/v1/log_pb.js";
import { type ServedTokens, serveWithTokens, ticketFor } from "../../support/tokens/served-tokens.ts";
import { until } from "../../support/until.ts";

const withToken =
  (token: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };

const transports = {
  gRPC: createGrpcTransport,
  "gRPC-Web over HTTP/1.1": (options: { baseUrl: string; interceptors: Interceptor[] }) =>
    createGrpcWebTransport({ ...options, httpVersion: "1.1" }),
  "Connect over HTTP/2": (options: { baseUrl: string; interceptors: Interceptor[] }) =>
    createConnectTransport({ ...options, httpVersion: "2" }),
  "Connect with JSON over HTTP/1.1": (options: { baseUrl: string; interceptors: Interceptor[] }) =>
    createConnectTransport({ ...options, httpVersion: "1.1", useBinaryFormat: false }),
};

async function drained(messages: AsyncIterable<unknown>): Promise<string> {
  try {
    for await (const _ of messages);
    return "ended without an error";
  } catch (reason) {
    return String(ConnectError.from(reason));
  }
}

/** The whole response of a GET. */
const body = (url: string, token: string | undefined, more: OutgoingHttpHeaders = {}): Promise<string> =>
  new Promise((resolve) => {
    const headers = token === undefined ? more : { authorization: `Bearer ${token}`, ...more };
    get(url, { headers, agent: false }, (response) => {
      let text = `${response.statusCode} `;
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("close", () => resolve(text));
    }).on("error", (error) => resolve(`failed: ${error}`));
  });

/** The response to a GET with two equal fields Authorization. */
const twice = (url: string, authorization: string): Promise<string> =>
  body(url, undefined, { Authorization: [authorization, authorization] });

/** Opens everything that runs without end. Each promise resolves to how it ended. */
function openAll({ node }: ServedTokens, token: string): Record<string, Promise<string>> {
  const ends: Record<string, Promise<string>> = {};
  for (const [name, make] of Object.entries(transports)) {
    const transport = make({ baseUrl: node.url, interceptors: [withToken(token)] });
    const [log, logs, cluster] = [Log, Logs, Cluster].map((service) => createClient(service, transport)) as [
      ReturnType<typeof createClient<typeof Log>>,
      ReturnType<typeof createClient<typeof Logs>>,
      ReturnType<typeof createClient<typeof Cluster>>,
    ];
    assert.ok(cluster);
    ends[`ConsumeStream ${name}`] = drained(log.consumeStream({}));
    ends[`ConsumeStream of a named log ${name}`] = drained(log.consumeStream({ log: "orders" }));
    ends[`ConsumeBatches ${name}`] = drained(log.consumeBatches({}));
    ends[`TailLogs ${name}`] = drained(logs.tailLogs({ prefix: "" }));
    ends[`TailLogs by name ${name}`] = drained(logs.tailLogs({ names: ["orders", "default"] }));
    ends[`Watch ${name}`] = drained(log.watch({}));
    ends[`Consume with wait_ms ${name}`] = log
      .consume({ offset: 1n, waitMs: 600_000 })
      .then(() => "ended without an error", String);
  }
  const transport = createGrpcTransport({ baseUrl: node.url, interceptors: [withToken(token)] });
  ends["ProduceStream gRPC"] = drained(
    createClient(Log, transport).produceStream(
      (async function* () {
        yield { record: { value: new Uint8Array([1]) }, log: "orders" };
        await new Promise(() => undefined);
      })(),
    ),
  );
  for (const path of [
    "/tail?from=start",
    "/tail?prefix=&from=start",
    "/tail?log=orders&log=default",
    "/logs/orders?from=start&follow",
    "/v1/stream/events?offset=-1&live=sse",
    "/v1/stream/events?offset=now&live=long-poll",
  ])
    ends[`GET ${path}`] = body(`${node.url}${path}`, token);
  for (const [path, logs] of Object.entries(ticketed))
    ends[`GET ${path} with a ticket`] = ticketFor(node, token, logs).then((ticket) =>
      body(`${node.url}${path}&ticket=${ticket}`, undefined, { accept: "text/event-stream" }),
    );
  return ends;
}

/** Each tail that a ticket opens, and the logs of the ticket. */
const ticketed: Readonly<Record<string, string>> = {
  "/tail?from=start": "",
  "/tail?log=orders&from=start": '{"log":"orders"}',
  "/tail?prefix=ord&from=start": '{"prefix":"or"}',
  "/tail?log=orders&log=default": '{"logs":["default","orders"]}',
  "/logs/orders?from=start": '{"log":"orders"}',
  "/v1/stream/events?offset=-1&live=sse": '{"logs":["events"]}',
};

async function endsAfter(
  setup: ServedTokens,
  change: (token: string) => Promise<string> | string,
): Promise<{ readonly ends: Record<string, string>; readonly tookMs: number }> {
  const { node, tokens } = setup;
  const { calls } = node.served.service;
  const token = await tokens.issue("alice", { id: "ends", lifeMs: 10_000 });
  const other = await tokens.issue("bob", { id: "goes-on" });
  // The first request makes the token known, so that the fast path serves the others.
  for (const one of [token, other]) await body(`${node.url}/logs`, one);
  const before = calls.openCalls;
  let otherEnded = false;
  const goesOn = body(`${node.url}/tail?from=start`, other).finally(() => {
    otherEnded = true;
  });
  const opened = openAll(setup, token);
  const count = Object.keys(opened).length;
  await until("all calls are open", () => calls.openCalls >= before + count + 1, {
    explain: () => `${calls.openCalls - before} of ${count + 1}`,
  });
  const sinceMs = performance.now();
  await change(token);
  const ended = await Promise.all(
    Object.entries(opened).map(async ([name, end]) => [name, await end] as const),
  );
  const tookMs = performance.now() - sinceMs;
  assert.equal(otherEnded, false, "the other token's tail goes on");
  tokens.change({ kind: "revoke", id: "goes-on", untilMs: Number.MAX_SAFE_INTEGER });
  await goesOn;
  return { ends: Object.fromEntries(ended), tookMs };
}

function assertEnded(ends: Record<string, string>, reason: RegExp): void {
  for (const [name, text] of Object.entries(ends)) {
    // The protocol has no event for an error: a client that comes back gets it.
    if (name.includes("live=sse")) continue;
    assert.match(text, /unauthenticated/, name);
    assert.match(text, reason, name);
  }
}

test("a revoked token ends everything that runs with it, through every door", {
  timeout: 120_000,
}, async (t) => {
  await using closing = new AsyncDisposableStack();
  const setup = await serveWithTokens(closing);
  const { ends, tookMs } = await endsAfter(setup, () => {
    setup.tokens.change({ kind: "revoke", id: "ends", untilMs: Number.MAX_SAFE_INTEGER });
    return "";
  });
  assertEnded(ends, /the token ends is revoked/);
  t.diagnostic(`${Object.keys(ends).length} calls ended within ${tookMs.toFixed(0)} ms`);
});

test("an expired token ends everything that runs with it, through every door", {
  timeout: 120_000,
}, async () => {
  await using closing = new AsyncDisposableStack();
  const setup = await serveWithTokens(closing);
  const { ends } = await endsAfter(setup, () => "");
  assertEnded(ends, /the token expired at/);
});

test("a removed key ends everything that runs with its tokens", { timeout: 120_000 }, async () => {
  await using closing = new AsyncDisposableStack();
  const setup = await serveWithTokens(closing);
  const { tokens } = setup;
  const { node } = setup;
  const token = await tokens.issue("alice");
  const end = body(`${node.url}/tail?from=start`, token);
  await until("the tail is open", () => node.served.service.calls.openCalls === 1);
  tokens.change({ kind: "remove-key", id: tokens.key.kid });
  assert.match(await end, /unauthenticated.*was removed/s);
  assert.match(await body(`${node.url}/tail?from=start`, token), /^401 .*unauthenticated/);
});

test("a token that ends while a request is read writes nothing", { timeout: 60_000 }, async () => {
  await using closing = new AsyncDisposableStack();
  const setup = await serveWithTokens(closing);
  const { node, tokens } = setup;
  const token = await tokens.issue("alice", { id: "midway" });
  await body(`${node.url}/logs`, token);
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const sent = fetch(`${node.url}/logs/orders`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    duplex: "half",
    body: new ReadableStream({
      async start(controller) {
        controller.enqueue(Buffer.from("half"));
        await begun;
        controller.close();
      },
    }),
  } as RequestInit);
  await until("the request is open", () => node.served.service.calls.openCalls === 1);
  tokens.change({ kind: "revoke", id: "midway", untilMs: Number.MAX_SAFE_INTEGER });
  begin();
  const response = await sent;
  assert.equal(response.status, 401);
  assert.match(await response.text(), /is revoked.*"written":"no"/);
  const admin = { authorization: `Bearer ${await tokens.issue("bob")}` };
  assert.equal((await node.ask("HEAD", "/logs/orders", undefined, admin)).headers["tailrace-next"], "1");
});

test("a request with a token is one of its subject, also where the connection may do everything", async () => {
  await using closing = new AsyncDisposableStack();
  const { node, tokens } = await serveWithTokens(closing);
  const ask = async (token: string | undefined, path: string) =>
    (await node.ask("GET", path, undefined, token === undefined ? {} : { authorization: `Bearer ${token}` }))
      .status;
  assert.equal(await ask(undefined, "/logs/orders"), 200, "plaintext from this machine");
  assert.equal(await ask(await tokens.issue("carol"), "/logs/orders"), 403);
  assert.equal(await ask(await tokens.issue("alice", { scope: "logs=orders:consume" }), "/logs/orders"), 403);
  assert.equal(
    await ask(await tokens.issue("alice", { scope: "logs=orders:describe" }), "/logs/orders"),
    200,
  );
  assert.equal(await ask("rubbish", "/logs/orders"), 401);
  const json = { "content-type": "application/json" };
  for (const path of ["/", "/log.v1.Log/Produce", "/logs/orders"]) {
    const post = async (token: string): Promise<number> =>
      (await node.ask("POST", path, "{}", { ...json, authorization: `Bearer ${token}` })).status;
    assert.equal(await post("rubbish"), 401, path);
    assert.equal(await post(await tokens.issue("carol")), 403, path);
  }
  for (const [token, code] of [
    ["rubbish", /unauthenticated/],
    [await tokens.issue("carol"), /permission_denied/],
  ] as const) {
    const transport = createGrpcTransport({ baseUrl: node.url, interceptors: [withToken(token)] });
    await assert.rejects(createClient(Log, transport).produce({ record: {} }), code);
  }
  for (const authorization of ["Bearer", "bearer ", "Bearer a b"])
    assert.equal(
      (await node.ask("GET", "/logs/orders", undefined, { authorization })).status,
      401,
      authorization,
    );
  const valid = `Bearer ${await tokens.issue("alice")}`;
  assert.match(await twice(`${node.url}/logs/orders`, valid), /^401 .*"reason":"TOKEN_INVALID"/);
  const basic = { authorization: "Basic YTpi" };
  assert.equal(
    (await node.ask("GET", "/logs/orders", undefined, basic)).status,
    200,
    "another scheme is ignored",
  );
});

test("what a token opened is kept by no shared cache, and is checked again with each use", async () => {
  await using closing = new AsyncDisposableStack();
  const { node, tokens } = await serveWithTokens(closing);
  const id = (await node.ask("HEAD", "/logs/orders")).headers["tailrace-log-id"];
  const caching = async (path: string, headers: Record<string, string>) =>
    (await node.ask("GET", path, undefined, headers)).headers["cache-control"];
  const token = { authorization: `Bearer ${await tokens.issue("alice")}` };
  for (const [path, ofAnyone] of [
    ["/v1/stream/events?offset=-1", /^public, no-cache$/],
    [`/logs/orders?offset=0&log_id=${id}`, /^private, max-age=31536000/],
  ] as const) {
    assert.match(String(await caching(path, {})), ofAnyone, path);
    assert.equal(await caching(path, token), "private, no-cache", path);
  }
});

test("the log of the cluster itself is shown to no client, by name, in a list or in a tail", async () => {
  await using closing = new AsyncDisposableStack();
  const { node } = await serveWithTokens(closing);
  const { named } = node.node.replica.log;
  await named.admin.creation.create("_tokens", {});
  assert.doesNotMatch((await node.ask("GET", "/logs")).text, /_tokens/);
  assert.doesNotMatch((await node.ask("GET", "/logs?prefix=_")).text, /_tokens/);
  for (const method of ["GET", "PUT", "POST", "DELETE", "PATCH"])
    assert.equal(
      (await node.ask(method, "/logs/_tokens", method === "GET" ? undefined : "{}")).status,
      400,
      method,
    );
  await named.open({ name: "_tokens" }).append({ bytes: Uint8Array.of(0x3a, 3, 0x0a, 1, 1), count: 1 });
  const all = await node.ask("GET", "/logs");
  assert.match(all.text, /orders/);
  const tail = named.follow({ prefix: "", may: () => true, asksMax: 100 }, "start");
  using found = await tail;
  for (let taken = found.take(); taken !== undefined; taken = found.take())
    if (typeof taken === "object" && "log" in taken) assert.notEqual(taken.log.name, "_tokens");
});
