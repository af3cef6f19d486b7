import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { AccessControl } from "../../../src/access/mod.ts";
import { Fault } from "../../../src/fault.ts";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";

const value = "TGV0J3MgR28gIzEK";
const post = (url: string, body: string, headers: Record<string, string> = {}) =>
  curl(url, { method: "POST", body, headers });

test("POST / appends a record and GET / reads it back, each with one line of JSON", async () => {
  await using served = await serve();
  for (const offset of [0, 1, 2]) {
    const answer = await post(served.url, `{"record":{"value":"${value}"}}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.text, `{"offset":${offset}}\n`);
    assert.equal(answer.headers["content-type"], "application/json");
  }
  const read = await curl(served.url, { body: '{"offset":0}' });
  assert.equal(read.text, `{"record":{"value":"${value}","offset":0}}\n`);
  assert.equal((await curl(`${served.url}/?offset=2`)).text, `{"record":{"value":"${value}","offset":2}}\n`);
});

test("the content type and the fields that the server sets are ignored", async () => {
  await using served = await serve();
  for (const type of ["application/x-www-form-urlencoded", "text/plain", "application/json", "x/y"]) {
    const body = `{"record":{"value":"${value}","offset":77,"term":9,"type":3},"more":true}`;
    assert.equal((await post(served.url, body, { "content-type": type })).status, 200);
  }
  assert.equal((await curl(`${served.url}/?offset=3`)).json["record"] !== undefined, true);
  assert.equal((await curl(`${served.url}/?offset=77`)).status, 404);
});

test("an empty value is a record; a record with key or headers is returned with its timestamp", async () => {
  await using served = await serve();
  await post(served.url, '{"record":{}}');
  assert.equal((await curl(`${served.url}/?offset=0`)).text, '{"record":{"value":"","offset":0}}\n');
  await post(served.url, '{"record":{"value":"YQ==","key":"aw==","headers":[{"key":"h","value":"dg=="}]}}');
  assert.deepEqual((await curl(`${served.url}/?offset=1`)).json, {
    record: {
      value: "YQ==",
      offset: 1,
      key: "aw==",
      headers: [{ key: "h", value: "dg==" }],
      timestamp_ms: served.log.nowMs,
    },
  });
});

test("a request that names a log is refused with the route for it, and nothing is written", async () => {
  await using served = await serve();
  const record = `"record":{"value":"${value}"}`;
  const posts: readonly [string, string, RegExp][] = [
    ["/?log=orders", `{${record}}`, /^log is .*POST \/logs\/orders$/],
    ["/?log=a/b", `{${record}}`, /POST \/logs\/a\/b$/],
    ["/?log=a%0Ab", `{${record}}`, /POST \/logs\/NAME$/],
    ["/?log_id=1-1", `{${record}}`, /^log_id is .*POST \/logs\/NAME$/],
    ["/", `{"log":"orders",${record}}`, /^log is .*POST \/logs\/orders$/],
    ["/", `{${record},"log":7}`, /POST \/logs\/NAME$/],
    ["/", `{${record},"logId":"1-1"}`, /^logId is /],
  ];
  for (const [path, body, message] of posts) {
    const answer = await post(`${served.url}${path}`, body);
    assert.deepEqual([answer.status, answer.json["code"]], [400, "invalid_argument"], path + body);
    assert.equal(answer.json["written"], "no");
    assert.match(String(answer.json["message"]), message);
  }
  assert.equal((await post(`${served.url}/?x=1`, `{${record},"log":null}`)).text, '{"offset":0}\n');
  const gets = [
    await curl(`${served.url}/?log=orders&offset=0`),
    await curl(served.url, { body: '{"log":"orders","offset":0}' }),
  ];
  for (const answer of gets) {
    assert.equal(answer.status, 400);
    assert.match(String(answer.json["message"]), /GET \/logs\/orders\?offset=N$/);
  }
});

test("bad input is refused with 400 and a reason, and nothing is written", async () => {
  await using served = await serve();
  const bodies = [
    "",
    "{",
    "[]",
    "null",
    '"x"',
    "{}",
    '{"record":null}',
    '{"record":1}',
    '{"record":{"value":1}}',
    '{"record":{"value":"!"}}',
    '{"record":{"value":"A"}}',
    '{"record":{"value":"AA=="},"record":{"value":"AQ=="}}',
    '{"record":{"value":"AA==","value":"AQ=="}}',
  ];
  for (const body of bodies) {
    const answer = await post(served.url, body);
    assert.equal(answer.status, 400, body);
    assert.equal(answer.json["code"], "invalid_argument");
    assert.equal(answer.json["written"], "no");
    assert.ok(String(answer.json["message"]).length > 10);
  }
  for (const offset of ["-1", "1.5", "1.0", "1e3", '"0"', "null", "9007199254740992", "1e400", "true"]) {
    assert.equal((await curl(served.url, { body: `{"offset":${offset}}` })).status, 400, offset);
  }
  for (const query of [
    "?offset=",
    "?offset=-1",
    "?offset=1.5",
    "?offset=x",
    "?offset=9007199254740992",
    "?offset=0&offset=1",
  ]) {
    assert.equal((await curl(`${served.url}/${query}`)).status, 400, query);
  }
  assert.equal((await curl(`${served.url}/?offset=0`, { body: '{"offset":1}' })).status, 400);
  assert.equal((await post(served.url, "x", { "content-encoding": "gzip" })).status, 400);
  assert.equal(served.log.next, 0);
});

test("GET / without an offset is refused with a hint, and a browser is redirected to the dashboard", async () => {
  await using served = await serve();
  const bare = await curl(served.url);
  assert.equal(bare.status, 400);
  assert.match(String(bare.json["message"]), /offset/);
  const browser = await curl(served.url, { headers: { accept: "text/html,application/xhtml+xml" } });
  assert.equal(browser.status, 303);
  assert.equal(browser.headers["location"], "/ui/");
});

test("an offset outside the log is refused with 404, lowest and next", async () => {
  await using served = await serve();
  for (const _ of [1, 2, 3]) await post(served.url, '{"record":{}}');
  await served.log.trim(1);
  for (const offset of [0, 3, Number.MAX_SAFE_INTEGER]) {
    const { status, json } = await curl(served.url, { body: `{"offset":${offset}}` });
    assert.equal(status, 404);
    assert.deepEqual(
      [json["code"], json["offset"], json["lowest"], json["next"]],
      ["out_of_range", offset, 1, 3],
    );
  }
});

test("a body over the limit is refused with 413, with and without a content-length, and nothing is written", async () => {
  await using served = await serve({ requestBytesMax: 4096, recordBytesMax: 1024 });
  const large = `{"record":{"value":"${"A".repeat(8000)}"}}`;
  const answer = await post(served.url, large);
  assert.equal(answer.status, 413);
  assert.equal(answer.json["code"], "resource_exhausted");
  const chunked = await curl(served.url, { method: "POST", body: large, chunked: true });
  assert.equal(chunked.status, 413);
  const record = await post(served.url, `{"record":{"value":"${"A".repeat(2000)}"}}`);
  assert.equal(record.status, 413);
  assert.equal(record.json["limit"], 1024);
  assert.equal(served.log.next, 0);
});

test("other methods are refused with 405 and Allow, other paths with 404", async () => {
  await using served = await serve();
  for (const method of ["PUT", "DELETE", "PATCH", "TRACE"]) {
    const answer = await curl(served.url, { method });
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers["allow"], "GET, POST");
  }
  for (const path of ["/x", "/log.v1.Other/Produce", "/%00", "//", "/ui"]) {
    const answer = await curl(`${served.url}${path}`);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.json["code"], "not_found");
  }
});

test("a fault of the log has its status and says whether the write happened", async () => {
  await using served = await serve();
  const cases = [
    [new Fault("disk-full"), 507, "no"],
    [new Fault("unavailable"), 503, "no"],
    [new Fault("overloaded"), 429, "no"],
    [new Fault("deadline", { written: "unknown" }), 504, "unknown"],
    [new Fault("disk-failed", { written: "unknown" }), 500, "unknown"],
    [new Fault("not-leader", { facts: { leader: "b", address: "127.0.0.1:9" } }), 307, "no"],
    [new Fault("not-leader"), 503, "no"],
  ] as const;
  for (const [fault, status, written] of cases) {
    served.log.failNext = fault;
    const answer = await post(served.url, '{"record":{}}');
    assert.deepEqual([answer.status, answer.json["written"]], [status, written], fault.kind);
    if (status === 307) assert.equal(answer.headers["location"], "http://127.0.0.1:9/");
  }
});

test("an append that does not end by the deadline is 504, and its outcome is unknown", async () => {
  await using served = await serve({ responseMs: 50 });
  let commit: () => void = () => undefined;
  served.log.gate = new Promise((resolve) => (commit = resolve));
  const answer = await post(served.url, '{"record":{}}');
  assert.deepEqual(
    [answer.status, answer.json["code"], answer.json["written"]],
    [504, "deadline_exceeded", "unknown"],
  );
  commit();
  served.log.read = () => new Promise(() => undefined);
  const read = await curl(`${served.url}/?offset=0`);
  assert.deepEqual([read.status, read.json["written"]], [504, "no"]);
});

test("a client without permission is refused with 403, and nothing is written", async () => {
  const authorize = (): never => {
    throw new Fault("permission-denied", { message: '"local" may not' });
  };
  await using served = await serve({ access: Object.assign(new AccessControl(), { authorize }) });
  const answer = await post(served.url, '{"record":{}}');
  assert.equal(answer.status, 403);
  assert.equal(answer.json["code"], "permission_denied");
  assert.equal(served.log.next, 0);
});

test("a page of another site cannot post; a page of the same or of a listed origin can", async () => {
  await using served = await serve({ origins: { origins: ["https://good.example"], hosts: [] } });
  const tries = [
    [{ origin: "https://evil.example" }, 403],
    [{ origin: "null" }, 403],
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "sec-fetch-site": "same-site" }, 403],
    [{ origin: "https://good.example", "sec-fetch-site": "cross-site" }, 200],
    [{ origin: served.url, "sec-fetch-site": "same-origin" }, 200],
    [{ "sec-fetch-site": "same-origin" }, 200],
    [{ "sec-fetch-site": "none" }, 200],
    [{}, 200],
  ] as const;
  for (const [headers, status] of tries) {
    for (const type of ["text/plain", "application/json"]) {
      const answer = await post(served.url, '{"record":{}}', { ...headers, "content-type": type });
      assert.equal(answer.status, status, JSON.stringify(headers));
    }
  }
});

test("on plaintext the host must be localhost, an address or a configured name", async () => {
  await using served = await serve({ origins: { origins: [], hosts: ["log.example"] } });
  for (const host of ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:9", "log.example", "a.localhost"]) {
    assert.equal((await post(served.url, '{"record":{}}', { host })).status, 200, host);
  }
  for (const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "log.example.evil",
  ]) {
    const answer = await post(served.url, '{"record":{}}', { host });
    assert.equal(answer.status, 403, host);
    assert.match(String(answer.json["message"]), /allow-hosts/);
  }
});

/** Sends exactly these bytes, and returns everything that arrives until the connection ends. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.write(bytes);
  await once(socket, "close");
  return text;
}
const statuses = (text: string): number[] =>
  [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
const append = '{"record":{"value":"YQ=="}}';
const bare = (line: string, more = ""): string => `${line} HTTP/1.1\r\nhost: localhost\r\n${more}\r\n`;
const appends = `${bare("POST /", `content-length: ${append.length}\r\n`)}${append}`;

test("pipelined requests are answered in order, and a read sees the appends before it", async () => {
  await using served = await serve();
  let open = (): void => undefined;
  served.log.gate = new Promise((resolve) => (open = resolve));
  const opened = until("the first append waits", () => served.service.calls.openCalls > 0).then(() => open());
  const text = await exchange(
    served.port,
    `${appends}${appends}${bare("GET /?offset=1")}${appends}${bare("GET /?offset=3")}${bare("GET /?offset=2", "connection: close\r\n")}`,
  );
  await opened;
  assert.deepEqual(statuses(text), [200, 200, 200, 200, 404, 200]);
  const bodies = text.split("\n").filter((line) => line.startsWith("{"));
  assert.equal(bodies[2], '{"record":{"value":"YQ==","offset":1}}');
  assert.equal(bodies[3], '{"offset":2}');
});

test("a client that pipelines requests without limit after an endless tail is disconnected", {
  timeout: 300_000,
}, async () => {
  await using served = await serve();
  const socket = connect(served.port, "127.0.0.1");
  socket.on("error", () => undefined);
  // The stream must be read for its end to be seen.
  socket.resume();
  socket.write(bare("GET /tail?from=end") + bare("GET /?offset=0").repeat(1000));
  await new Promise((resolve) => socket.once("close", resolve));
  assert.equal((await post(served.url, append)).status, 200);
});

test("the host of a target in absolute form replaces the Host field; two Host fields are refused", async () => {
  await using served = await serve();
  await post(served.url, append);
  const close = "connection: close\r\n";
  assert.deepEqual(
    statuses(await exchange(served.port, bare("GET http://localhost/?offset=0", close))),
    [200],
  );
  assert.deepEqual(
    statuses(await exchange(served.port, bare("GET http://127.0.0.1?offset=0", close))),
    [200],
  );
  assert.deepEqual(
    statuses(await exchange(served.port, bare("GET http://evil.example/?offset=0", close))),
    [403],
  );
  assert.deepEqual(
    statuses(await exchange(served.port, bare("GET /?offset=0", `Host: evil.example\r\n${close}`))),
    [400],
  );
});
