/** The HTTP routes of named logs, on a cluster of one node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { serveNode } from "../../support/http/serve-node.ts";
import { openTail } from "../../support/http/tail-reader.ts";
import { until } from "../../support/until.ts";

const idPattern = /^\d+-\d+$/;

test("PUT creates a log; again with the same settings it is 200, with others 409", async () => {
  await using node = await serveNode();
  const created = await node.ask("PUT", "/logs/orders");
  assert.equal(created.status, 201);
  assert.equal(created.headers["location"], "/logs/orders");
  assert.match(String(created.json["log_id"]), idPattern);
  assert.deepEqual([created.json["name"], created.json["settings"]], ["orders", {}]);
  const again = await node.ask("PUT", "/logs/orders", "{}");
  assert.deepEqual([again.status, again.json["log_id"]], [200, created.json["log_id"]]);

  const settings = '{"max_bytes":1000,"content_type":"text/plain"}';
  assert.equal((await node.ask("PUT", "/logs/small", settings)).status, 201);
  assert.equal((await node.ask("PUT", "/logs/small", settings)).status, 200);
  assert.equal(
    (await node.ask("PUT", "/logs/small", '{"max_bytes":1000}')).status,
    200,
    "every stated one is so",
  );
  assert.equal((await node.ask("PUT", "/logs/small")).status, 200);
  const other = await node.ask("PUT", "/logs/small", '{"max_bytes":1001}');
  assert.deepEqual([other.status, other.json["code"], other.json["written"]], [409, "already_exists", "no"]);
  // What is not stated is no difference.
  const differences = /with other settings: max_bytes is 1000, stated was 1001\. PATCH changes them$/;
  assert.match(String(other.json["message"]), differences);
  const past = await node.ask("PUT", "/logs/past", '{"expires_at_ms":1000}');
  assert.deepEqual([past.status, past.json["code"], past.json["written"]], [400, "invalid_argument", "no"]);
  assert.match(String(past.json["message"]), /^expires_at_ms must be later than now: it is 1000 \(1970-/);
  const patched = await node.ask("PATCH", "/logs/small", '{"expires_at_ms":1000}');
  assert.deepEqual([patched.status, patched.json["field"]], [400, "expires_at_ms"]);
});

test("PUT with If-None-Match: * is 412 for a log that exists, whatever its settings", async () => {
  await using node = await serveNode();
  const isNew = { "if-none-match": "*" };
  assert.equal((await node.ask("PUT", "/logs/a", '{"max_bytes":9}', isNew)).status, 201);
  for (const body of ['{"max_bytes":9}', '{"max_bytes":8}', ""]) {
    const answer = await node.ask("PUT", "/logs/a", body, isNew);
    assert.deepEqual([answer.status, answer.json["code"], answer.json["name"]], [412, "already_exists", "a"]);
  }
  assert.equal((await node.ask("PUT", "/logs/default", "", isNew)).status, 412);
  assert.equal((await node.ask("PUT", "/logs/b", "", { "if-none-match": '"1"' })).status, 400);
  assert.equal((await node.ask("PUT", "/logs/b", "", { "if-match": "*" })).status, 400);
});

test("settings that are not settings are refused with 400, and no log is created", async () => {
  await using node = await serveNode();
  for (const body of [
    "[]",
    "1",
    "{",
    '{"max_bytes":0}',
    '{"max_bytes":-1}',
    '{"max_bytes":1.5}',
    '{"max_bytes":"1"}',
    '{"max_bytes":9007199254740993}',
    '{"max_bytes":1,"max_bytes":2}',
    '{"content_type":"a\\r\\nb"}',
    '{"content_type":""}',
    '{"ttl_ms":0}',
    '{"ttl":1000}',
    '{"constructor":1}',
    '{"__proto__":1}',
  ]) {
    const answer = await node.ask("PUT", "/logs/orders", body);
    assert.deepEqual([answer.status, answer.json["code"]], [400, "invalid_argument"], body);
  }
  assert.equal((await node.ask("PUT", "/logs/orders", "x".repeat(65 * 1024))).status, 413);
  const parameter = await node.ask("PUT", "/logs/orders?max_bytes=1");
  assert.equal(parameter.status, 400);
  assert.match(String(parameter.json["message"]), /no parameter max_bytes here, the request takes none$/);
  const reads = await node.ask("GET", "/logs/orders?form=text");
  assert.match(
    String(reads.json["message"]),
    /here, only log_id; for records state offset=N or from=START, such as from=-10 for the last 10$/,
  );
  assert.equal((await node.ask("PUT", "/logs/orders", "{}", { "content-encoding": "gzip" })).status, 400);
  assert.deepEqual((await node.ask("GET", "/logs")).json, { logs: [], next: null });
});

test("GET describes a log with an ETag, and HEAD has its extent in headers", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/logs/orders", '{"record_bytes_max":100}');
  await node.ask("POST", "/logs/orders", "hello");
  const found = await node.ask("GET", "/logs/orders");
  assert.equal(found.status, 200);
  const { log_id, bytes, created_ms, last_timestamp_ms, version, ...rest } = found.json;
  assert.deepEqual(rest, {
    name: "orders",
    settings: { record_bytes_max: 100 },
    lowest_offset: 0,
    next_offset: 1,
    closed: false,
    owner: "local",
  });
  assert.ok(Number(bytes) > 5 && Number(created_ms) > 0 && Number(last_timestamp_ms) >= Number(created_ms));
  assert.deepEqual([found.headers["etag"], found.headers["vary"]], [`"${log_id}.${version}"`, "Accept"]);
  const same = await node.ask("GET", "/logs/orders", undefined, {
    "if-none-match": `"${log_id}.${version}"`,
  });
  assert.deepEqual([same.status, same.text], [304, ""]);

  const head = await node.ask("HEAD", "/logs/orders");
  const { headers } = head;
  assert.deepEqual([head.status, head.text], [200, ""]);
  assert.deepEqual(
    [headers["tailrace-lowest"], headers["tailrace-next"], headers["tailrace-log-id"], headers["etag"]],
    ["0", "1", log_id, `"${log_id}.${version}"`],
  );
  assert.deepEqual([(await node.ask("HEAD", "/logs/none")).status], [404]);
});

test("PATCH changes settings, null removes one, and If-Match must name the version", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/logs/a", '{"max_bytes":10,"content_type":"text/plain"}');
  const changed = await node.ask("PATCH", "/logs/a", '{"max_bytes":null,"record_bytes_max":7}');
  assert.equal(changed.status, 200);
  assert.deepEqual(changed.json["settings"], { record_bytes_max: 7, content_type: "text/plain" });
  const etag = String(changed.headers["etag"]);
  assert.equal((await node.ask("POST", "/logs/a", "1234567890")).status, 413, "a record beyond the limit");

  const stale = await node.ask("PATCH", "/logs/a", '{"max_bytes":1}', { "if-match": '"1"' });
  assert.deepEqual([stale.status, stale.json["reason"]], [412, "VERSION_MISMATCH"]);
  assert.equal((await node.ask("DELETE", "/logs/a", undefined, { "if-match": '"1"' })).status, 412);
  const [life, rest = ""] = etag.slice(1).split("-");
  for (const [tag, reason] of [
    [`"${Number(life) === 1 ? 2 : 1}-${rest}`, "ANOTHER_LIFE"],
    [`"${life}-9${rest}`, "ANOTHER_LOG"],
  ] as const)
    for (const method of ["PATCH", "DELETE"]) {
      const other = await node.ask(method, "/logs/a", method === "PATCH" ? "{}" : undefined, {
        "if-match": tag,
      });
      assert.deepEqual([other.status, other.json["reason"], other.json["written"]], [412, reason, "no"], tag);
    }
  const both = await node.ask("DELETE", "/logs/a?log_id=1-9", undefined, { "if-match": etag });
  assert.equal(both.status, 400, both.text);
  assert.equal((await node.ask("PATCH", "/logs/a", '{"max_bytes":99}', { "if-match": "a" })).status, 400);
  const patchIf = async (tags: string) => {
    const patched = await node.ask("PATCH", "/logs/a", '{"max_bytes":99}', { "if-match": tags });
    return [patched.status, patched.json["reason"]];
  };
  assert.deepEqual(await patchIf(`W/${etag}`), [412, "VERSION_MISMATCH"], "a weak tag matches nothing");
  const [id] = etag.slice(1).split(".");
  assert.deepEqual(await patchIf(`"${id}.1", "${id}.2"`), [412, "VERSION_MISMATCH"]);
  assert.deepEqual(await patchIf(`"9-9.1", "${id}.1", ${etag}`), [200, undefined], "one of a list is enough");
  assert.equal((await node.ask("PATCH", "/logs/a", '{"max_bytes":9}', { "if-match": etag })).status, 412);
  assert.equal((await node.ask("PATCH", "/logs/a", "")).status, 400);
  const unknown = await node.ask("PATCH", "/logs/a", '{"nothing":1}');
  assert.equal(unknown.status, 400);
  assert.match(String(unknown.json["message"]), /^there is no setting "nothing", only retention_bytes, /);
  assert.equal((await node.ask("PATCH", "/logs/none", "{}")).status, 404);
  assert.equal((await node.ask("DELETE", "/logs/a", undefined, { "if-match": "*" })).status, 204);
});

test("a write is refused for a condition that it does not compare", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/logs/a");
  for (const [method, body, name, value] of [
    ["POST", "x", "if-match", '"9999"'],
    ["POST", "x", "if-none-match", "*"],
    ["PATCH", '{"max_bytes":9}', "if-none-match", "*"],
    ["PATCH", '{"closed":true}', "if-none-match", "*"],
    ["DELETE", undefined, "if-none-match", "*"],
    ["PUT", "", "if-match", '"9999"'],
  ] as const) {
    const refused = await node.ask(method, "/logs/a", body, { [name]: value });
    assert.deepEqual([refused.status, refused.json["written"]], [400, "no"], `${method} ${name}`);
    assert.equal(String(refused.json["field"]).toLowerCase(), name);
  }
  const { json } = await node.ask("GET", "/logs/a");
  assert.deepEqual([json["next_offset"], json["settings"], json["closed"]], [0, {}, false]);
});

test("an unknown log is 404 with the command that creates it, on every method", async () => {
  await using node = await serveNode();
  for (const [method, path, body] of [
    ["GET", "/logs/none"],
    ["GET", "/logs/none?offset=0"],
    ["GET", "/logs/none?from=start"],
    ["GET", "/tail?log=none"],
    ["POST", "/logs/none", "x"],
    ["PATCH", "/logs/none", "{}"],
    ["DELETE", "/logs/none"],
  ] as const) {
    const answer = await node.ask(method, path, body);
    const what = `${method} ${path}`;
    assert.deepEqual(
      [answer.status, answer.json["code"], answer.json["reason"], answer.json["written"]],
      [404, "not_found", "NO_SUCH_LOG", "no"],
      what,
    );
    assert.match(String(answer.json["message"]), /tailrace logs create 'none'/, what);
  }
  const events = await node.ask("GET", "/logs/none", undefined, { accept: "text/event-stream" });
  assert.equal(events.status, 404);
});

test("GET /logs lists pages in the order of names, by prefix", async () => {
  await using node = await serveNode();
  const names = ["a", "b/1", "b/2", "b/é", "b/😀", "c"];
  for (const name of [...names].reverse()) {
    assert.equal(
      (await node.ask("PUT", `/logs/${name.split("/").map(encodeURIComponent).join("/")}`)).status,
      201,
    );
  }
  const list = async (query: string) => {
    const { json } = await node.ask("GET", `/logs${query}`);
    return [(json["logs"] as { name: string }[]).map(({ name }) => name), json["next"]];
  };
  assert.deepEqual(await list(""), [names, null]);
  assert.deepEqual(await list("?prefix=b/"), [["b/1", "b/2", "b/é", "b/😀"], null]);
  assert.deepEqual(await list("?prefix=b/&limit=2"), [["b/1", "b/2"], "b/2"]);
  assert.deepEqual(await list("?prefix=b/&limit=2&after=b/2"), [["b/é", "b/😀"], null]);
  for (const query of ["?limit=0", "?limit=257", "?limit=x", "?what=1", "?prefix=a&prefix=b"])
    assert.equal((await node.ask("GET", `/logs${query}`)).status, 400, query);
  const other = await node.ask("DELETE", "/logs");
  assert.deepEqual([other.status, other.headers["allow"]], [405, "GET"]);
});

test("the log default is described, read, written and tailed as /logs/default, and neither created nor deleted", async () => {
  await using node = await serveNode();
  await node.ask("POST", "/", '{"record":{"value":"YQ=="}}');
  const posted = await node.ask("POST", "/logs/default", "b");
  assert.equal(posted.text, '{"offset":1}\n');
  assert.equal(
    (await node.ask("GET", "/logs/default?offset=0")).text,
    '{"record":{"value":"YQ==","offset":0}}\n',
  );
  assert.equal((await node.ask("GET", "/?offset=1")).text, '{"record":{"value":"Yg==","offset":1}}\n');
  const { bytes, ...described } = (await node.ask("GET", "/logs/default")).json;
  assert.deepEqual(described, { name: "default", settings: {}, lowest_offset: 0, next_offset: 2 });
  assert.ok(Number(bytes) > 0);
  assert.equal((await node.ask("HEAD", "/logs/default")).headers["tailrace-next"], "2");
  const tail = await openTail(`${node.url}/tail?log=default&from=start&limit=1`);
  assert.deepEqual(
    (await tail.all()).map(({ id }) => id),
    [undefined, "0", undefined],
  );
  const put = await node.ask("PUT", "/logs/default");
  assert.deepEqual([put.status, put.json["code"]], [409, "already_exists"]);
  for (const [method, body] of [["DELETE"], ["PATCH", "{}"]] as const) {
    const refused = await node.ask(method, "/logs/default", body);
    assert.deepEqual([refused.status, refused.json["code"]], [400, "invalid_argument"]);
    assert.match(String(refused.json["message"]), /"default"/);
  }
  assert.deepEqual((await node.ask("GET", "/logs")).json["logs"], []);
  assert.equal((await node.ask("GET", "/logs/default?offset=0&log_id=1-1")).status, 409);
});

test("a method that a path does not have is 405 with the methods that it has", async () => {
  await using node = await serveNode();
  const wrong = await node.ask("TRACE", "/logs/orders");
  assert.deepEqual([wrong.status, wrong.headers["allow"]], [405, "GET, HEAD, POST, PUT, PATCH, DELETE"]);
  assert.equal(wrong.json["code"], "unimplemented");
  const options = await node.ask("OPTIONS", "/logs/orders");
  assert.deepEqual([options.status, options.headers["allow"]], [204, "GET, HEAD, POST, PUT, PATCH, DELETE"]);
});

test("a log with a time to live is deleted when it was not used for so long", async () => {
  await using node = await serveNode();
  assert.equal((await node.ask("PUT", "/logs/short", '{"ttl_ms":1000}')).status, 201);
  assert.equal((await node.ask("PUT", "/logs/long", '{"ttl_ms":600000}')).status, 201);
  await until("the log is deleted", async () => (await node.ask("HEAD", "/logs/short")).status === 404);
  assert.equal((await node.ask("HEAD", "/logs/long")).status, 200);
});

test("PATCH closes a log: its tails end, and it takes no more records", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/logs/a");
  await node.ask("POST", "/logs/a", "x");
  const { headers } = await node.ask("HEAD", "/logs/a");
  for (const [body, why] of [
    ['{"closed":false}', /is not opened again/],
    ['{"closed":null}', /is not opened again/],
    ['{"closed":true,"ttl_ms":5}', /not combined/],
    ["", /expected settings .*or \{"closed":true\}/],
    ['{"settings":{"ttl_ms":5}}', /top of the body/],
  ] as const) {
    const { status, json } = await node.ask("PATCH", "/logs/a", body);
    assert.deepEqual([status, json["written"]], [400, "no"], body);
    assert.match(String(json["message"]), why);
  }
  const close = (etag: unknown) =>
    node.ask("PATCH", "/logs/a", '{"closed":true}', { "if-match": String(etag) });
  assert.equal((await close('"1"')).status, 412);
  const tail = fetch(`${node.url}/logs/a`, { headers: { accept: "text/event-stream" } });
  const closed = await close(headers["etag"]);
  assert.deepEqual([closed.status, closed.json["name"], closed.json["closed"]], [200, "a", true]);
  assert.match(await (await tail).text(), /event: end\n/);
  assert.equal((await node.ask("GET", "/logs/a")).json["closed"], true);
  const refused = await node.ask("POST", "/logs/a", "y");
  assert.deepEqual(
    [refused.status, refused.json["reason"], refused.json["written"]],
    [409, "LOG_CLOSED", "no"],
  );
  assert.equal((await node.ask("PATCH", "/logs/a", '{"closed":true}')).status, 200, "again");
  assert.equal((await node.ask("PATCH", "/logs/default", '{"closed":true}')).status, 400);
});
