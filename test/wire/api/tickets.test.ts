/** Tickets: what one opens, what one does not, and who may make one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTail } from "../../support/http/tail-reader.ts";
import { serveWithTokens, ticketFor } from "../../support/tokens/served-tokens.ts";

test("a ticket opens one tail, of the logs that it is for, and with an EventSource that comes back it is refused", async () => {
  await using closing = new AsyncDisposableStack();
  const { node, tokens } = await serveWithTokens(closing);
  const token = await tokens.issue("alice", { scope: "logs=orders,events:consume", lifeMs: 600_000 });
  const events = { accept: "text/event-stream" };
  const get = (path: string, headers: Record<string, string> = events) =>
    openTail(`${node.url}${path}`, headers);
  const ticket = await ticketFor(node, token, '{"log":"orders"}');
  const tail = await get(`/tail?log=orders&from=start&ticket=${ticket}`);
  assert.equal(tail.status, 200);
  assert.equal((await tail.next())?.event, "retry");
  assert.match((await tail.next())?.data ?? "", /"offset":0/);
  tail.close();
  const again = await node.ask("GET", `/tail?log=orders&from=start&ticket=${ticket}`, undefined, events);
  assert.deepEqual(
    [again.status, again.json["code"], again.json["reason"], again.json["written"]],
    [401, "unauthenticated", "TICKET_INVALID", "no"],
  );
  assert.match(String(again.json["message"]), /^this ticket was used, .*; POST \/tickets makes another one$/);

  const uses: readonly (readonly [string, string, number, RegExp])[] = [
    ['{"log":"orders"}', "/tail?log=events", 403, /with this ticket, which is for tails of other logs/],
    ['{"log":"orders"}', "/tail", 403, /with this ticket/],
    ['{"prefix":"ord"}', "/tail?log=events", 403, /with this ticket/],
    ['{"log":"orders"}', "/tail?log=none", 403, /with this ticket/],
    ['{"prefix":"nothing"}', "/tail?log=nothing-here", 403, /with this/],
  ];
  for (const [logs, path, status, message] of uses) {
    const used = await node.ask(
      "GET",
      `${path}${path.includes("?") ? "&" : "?"}ticket=${await ticketFor(node, token, logs)}`,
      undefined,
      events,
    );
    assert.equal(used.status, status, path);
    assert.match(used.text, message);
  }
  // What a ticket does not open does not use it either.
  const kept = await ticketFor(node, token, '{"log":"orders"}');
  for (const [method, path, headers] of [
    ["GET", "/logs/orders?offset=0", events],
    ["GET", "/logs/orders", {}],
    ["GET", "/logs", events],
    ["HEAD", "/logs/orders", events],
    ["POST", "/logs/orders", events],
    ["DELETE", "/logs/orders", events],
    ["POST", "/", {}],
    ["GET", "/?offset=0", {}],
    ["POST", "/tail", {}],
    ["POST", "/tickets", {}],
    ["GET", "/cursors", {}],
    ["GET", "/v1/stream/events?offset=-1", events],
    ["POST", "/v1/stream/events?live=sse", events],
    ["POST", "/log.v1.Log/Consume", { "content-type": "application/json" }],
    ["GET", "/tail?log=orders", { authorization: `Bearer ${token}` }],
    ["GET", `/tail?log=orders&%74icket=${kept}`, events],
  ] as const) {
    const { status, text } = await node.ask(
      method,
      `${path}${path.includes("?") ? "&" : "?"}ticket=${kept}`,
      method === "POST" ? "{}" : undefined,
      headers,
    );
    assert.equal(status, 400, `${method} ${path}: ${text}`);
  }
  const opened = await get(`/logs/orders?%74icket=${kept}&from=start`);
  assert.equal(opened.status, 200);
  opened.close();
});

test("a ticket is made by a caller that may read the logs, and by no other", async () => {
  await using closing = new AsyncDisposableStack();
  const { node, tokens } = await serveWithTokens(closing);
  const make = async (token: string | undefined, logs: string) => {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return node.ask("POST", "/tickets", logs, headers);
  };
  const narrow = await tokens.issue("alice", { scope: "logs=orders:consume,produce" });
  const stranger = await tokens.issue("carol");
  for (const [token, logs, status, message] of [
    [narrow, '{"log":"orders"}', 201, /^\{"ticket":"/],
    [undefined, "", 201, /ticket/],
    [narrow, "", 403, /may not consume from "\*" with this token/],
    [narrow, '{"log":"none"}', 403, /may not consume from "none"/],
    [narrow, '{"logs":["orders","events"]}', 403, /"events"/],
    [narrow, '{"prefix":"ord"}', 201, /ticket/],
    [stranger, '{"prefix":""}', 403, /may not consume from any log/],
    [stranger, '{"log":"orders"}', 403, /may not/],
    [await tokens.issue("alice", { scope: "logs=*:produce,describe,admin" }), "", 403, /may not consume/],
    ["rubbish", "", 401, /unauthenticated/],
    [narrow, "{", 400, /not JSON/],
    [narrow, "[]", 400, /not an object/],
    [narrow, '{"log":"orders","prefix":"o"}', 400, /one of log, logs and prefix/],
    [narrow, '{"subject":"bob"}', 400, /there is no field subject/],
    [narrow, '{"log":7}', 400, /must be a name/],
    [narrow, '{"log":"_tokens"}', 400, /reserved/],
    [narrow, '{"logs":[]}', 400, /names or a prefix are needed/],
    [narrow, '{"prefix":"a*"}', 400, /prefix/],
    [narrow, JSON.stringify({ logs: Array.from({ length: 17 }, (_, n) => `l${n}`) }), 400, /at most 16 logs/],
    [narrow, " ".repeat(40_000), 413, /too_large|resource_exhausted/],
  ] as const) {
    const answer = await make(token, logs);
    assert.equal(answer.status, status, `${logs.slice(0, 60)}: ${answer.text}`);
    assert.match(answer.text.replaceAll("\\", ""), message);
    assert.equal(answer.headers["cache-control"], "no-store");
  }
  assert.equal((await node.ask("GET", "/tickets")).status, 405);
  for (let status = 201; status === 201; ) ({ status } = await make(narrow, '{"log":"orders"}'));
  const full = await make(narrow, '{"log":"orders"}');
  assert.deepEqual([full.status, full.json["code"], full.json["limit"]], [429, "resource_exhausted", 64]);
});
