/** Records of named logs over HTTP: appended as they are or as JSON, read one by one, as lines and as events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CallStart, type Metrics, noMetrics, noTelemetry } from "../../../src/lib/telemetry.ts";
import { type ServedNode, serveNode } from "../../support/http/serve-node.ts";
import { openTail } from "../../support/http/tail-reader.ts";

const structured = { "content-type": "application/vnd.tailrace+json" };
const offsets = (text: string): unknown[] =>
  text
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { offset: number }).offset);

/** A node with the log `orders`, which holds these values. */
async function withOrders(...values: string[]): Promise<ServedNode> {
  const node = await serveNode({ heartbeatMs: 200 });
  await node.ask("PUT", "/logs/orders");
  for (const value of values) await node.ask("POST", "/logs/orders", value);
  return node;
}

test("POST stores the body as it is, whatever its content type, and says so", async () => {
  await using node = await withOrders();
  const bodies: readonly [Uint8Array | string, Record<string, string>][] = [
    ["hello", {}],
    [Uint8Array.of(0, 255, 10, 13), { "content-type": "application/octet-stream" }],
    ['{"record":{"value":"YQ=="}}', { "content-type": "application/json" }],
    ["", {}],
    ["x".repeat(500_000), { "content-type": "application/x-www-form-urlencoded" }],
  ];
  for (const [at, [body, headers]] of bodies.entries()) {
    const answer = await node.ask("POST", "/logs/orders", body, headers);
    assert.deepEqual([answer.status, answer.text], [200, `{"offset":${at}}\n`]);
    assert.equal(answer.headers["tailrace-stored"], `raw; bytes=${body.length}`);
    assert.match(String(answer.headers["tailrace-log-id"]), /^\d+-1$/);
    const read = await fetch(`${node.url}/logs/orders?offset=${at}`, {
      headers: { accept: "application/octet-stream" },
    });
    assert.deepEqual(Buffer.from(await read.arrayBuffer()), Buffer.from(body));
    assert.equal(read.headers.get("content-type"), "application/octet-stream");
    assert.equal(read.headers.get("tailrace-offset"), String(at));
    assert.ok(Number(read.headers.get("tailrace-timestamp-ms")) > 0);
  }
  assert.equal((await node.ask("GET", "/?offset=0")).status, 404, "nothing is in the log default");
});

test("a body of JSON has one record or several, with keys and headers", async () => {
  await using node = await withOrders();
  const post = (body: string) => node.ask("POST", "/logs/orders", body, structured);
  const one = await post('{"record":{"value":"YQ==","key":"aw==","headers":[{"key":"h","value":"dg=="}]}}');
  assert.deepEqual([one.text, one.headers["tailrace-stored"]], ['{"offset":0}\n', "record"]);
  const two = await post('{"records":[{"value":"Yg=="},{}]}');
  assert.deepEqual(
    [two.text, two.headers["tailrace-stored"]],
    ['{"offset":1,"count":2}\n', "records; count=2"],
  );
  const { record } = (await node.ask("GET", "/logs/orders?offset=0")).json as {
    record: Record<string, unknown>;
  };
  assert.deepEqual(
    [record["value"], record["key"], record["headers"]],
    ["YQ==", "aw==", [{ key: "h", value: "dg==" }]],
  );
  for (const body of [
    "",
    "{}",
    "[]",
    '{"records":[]}',
    '{"records":{}}',
    '{"records":[1]}',
    '{"records":[{"value":"!"}]}',
    '{"record":{},"records":[{}]}',
    '{"records":[{"headers":[{"key":1}]}]}',
  ])
    assert.equal((await post(body)).status, 400, body);
  assert.equal((await node.ask("HEAD", "/logs/orders")).headers["tailrace-next"], "3");
});

test("the key, the expected offset and the producer of a raw record are headers", async () => {
  await using node = await withOrders();
  const post = (headers: Record<string, string>) => node.ask("POST", "/logs/orders", "v", headers);
  const keyAt = async (offset: number) =>
    ((await node.ask("GET", `/logs/orders?offset=${offset}`)).json as { record: { key?: string } }).record
      .key;
  assert.equal((await post({ "tailrace-key": encodeURIComponent("clé 1,😀") })).status, 200);
  assert.equal(await keyAt(0), Buffer.from("clé 1,😀").toString("base64"));
  assert.equal((await post({ "tailrace-key-base64": "AP8=" })).status, 200);
  assert.equal(await keyAt(1), "AP8=");
  for (const headers of [
    { "tailrace-key": "%zz" },
    { "tailrace-key": "%ff" },
    { "tailrace-key": "a,b" },
    { "tailrace-key-base64": "A" },
    { "tailrace-key": "a", "tailrace-key-base64": "YQ==" },
    { "tailrace-expected-offset": "x" },
    { "tailrace-producer": "1,2" },
    { "tailrace-producer": "1,2,3,4" },
    { "tailrace-producer": "1,4294967296,0" },
    { "tailrace-producer": "18446744073709551616,0,0" },
    { "tailrace-producer": "-1,0,0" },
  ] as Record<string, string>[])
    assert.equal((await post(headers)).status, 400, JSON.stringify(headers));
  assert.equal(
    (await node.ask("POST", "/logs/orders", "{}", { ...structured, "tailrace-key": "a" })).status,
    400,
  );

  const late = await post({ "tailrace-expected-offset": "1" });
  assert.deepEqual([late.status, late.json["code"], late.json["next"]], [409, "aborted", 2]);
  assert.equal((await post({ "tailrace-expected-offset": "2" })).text, '{"offset":2}\n');
  const producer = { "tailrace-producer": "7,0,0" };
  assert.equal((await post(producer)).text, '{"offset":3}\n');
  assert.equal((await post(producer)).text, '{"offset":3,"duplicate":true}\n');
  const gap = await post({ "tailrace-producer": "7,0,9" });
  assert.deepEqual([gap.status, gap.json["written"]], [409, "no"]);
});

test("POST with ?create creates the log if it is not there", async () => {
  await using node = await serveNode();
  assert.equal((await node.ask("POST", "/logs/new", "a")).status, 404);
  assert.equal((await node.ask("POST", "/logs/new?create=false", "a")).status, 404);
  assert.equal((await node.ask("POST", "/logs/new?create", "a")).text, '{"offset":0}\n');
  assert.equal((await node.ask("POST", "/logs/new?create=true", "b")).text, '{"offset":1}\n');
  const many = await Promise.all(
    Array.from({ length: 20 }, (_, at) => node.ask("POST", "/logs/raced?create", `${at}`)),
  );
  assert.deepEqual(
    many.map(({ json }) => Number(json["offset"])).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, at) => at),
  );
  assert.equal((await node.ask("POST", "/logs/new?create=2", "b")).status, 400);
  assert.equal((await node.ask("POST", "/logs/new?create&log_id=1-1", "b")).status, 400);
});

test("a record by offset is JSON or bytes as Accept says, with q-values", async () => {
  await using node = await withOrders('{"n":1}');
  const type = async (accept?: string) => {
    const headers: Record<string, string> = accept === undefined ? {} : { accept };
    const answer = await node.ask("GET", "/logs/orders?offset=0", undefined, headers);
    assert.deepEqual([answer.status, answer.headers["vary"]], [200, "Accept"]);
    return answer.headers["content-type"];
  };
  const [json, bytes] = ["application/json", "application/octet-stream"];
  assert.equal(await type(), json);
  assert.equal(await type("*/*"), json);
  assert.equal(await type(bytes), bytes);
  assert.equal(await type(`${bytes}, ${json}`), json, "a tie");
  assert.equal(await type(`${bytes};q=0.5, ${json};q=0.4`), bytes);
  assert.equal(await type(`${json};q=0, */*`), bytes);
  assert.equal(await type("image/png"), json, "nothing fits");
  assert.equal(
    (await node.ask("GET", "/logs/orders?offset=0&format=json")).json["record"] !== undefined,
    true,
  );
  assert.match((await node.ask("GET", "/logs/orders?offset=0&format=json")).text, /"json":\{"n":1\}\}\}\n$/);
  for (const query of ["offset=", "offset=x", "offset=0&offset=0", "offset=0&from=0", "offset=0&format=x"])
    assert.equal((await node.ask("GET", `/logs/orders?${query}`)).status, 400, query);
  const beyond = await node.ask("GET", "/logs/orders?offset=9");
  assert.deepEqual(
    [beyond.status, beyond.json["code"], beyond.json["lowest"], beyond.json["next"]],
    [404, "out_of_range", 0, 1],
  );
});

test("a record can be kept by a cache only if the URL states the id of its log", async () => {
  await using node = await withOrders("a");
  const bare = await node.ask("GET", "/logs/orders?offset=0");
  assert.deepEqual([bare.headers["cache-control"], bare.headers["etag"]], ["no-store", undefined]);
  const url = `/logs/orders?offset=0&log_id=${String(bare.headers["tailrace-log-id"])}`;
  const kept = await node.ask("GET", url);
  assert.equal(kept.headers["cache-control"], "private, max-age=31536000, immutable");
  const etag = String(kept.headers["etag"]);
  const bytes = await node.ask("GET", url, undefined, { accept: "application/octet-stream" });
  assert.notEqual(bytes.headers["etag"], etag, "another form");
  assert.equal((await node.ask("GET", url, undefined, { "if-none-match": etag })).status, 304);
  const [life, id] = String(bare.headers["tailrace-log-id"]).split("-").map(Number);
  assert.equal((await node.ask("GET", `/logs/orders?offset=0&log_id=${life}-${id! + 1}`)).status, 409);
  assert.equal(
    (await node.ask("GET", `/logs/orders?offset=0&log_id=${(life! % 1000) + 1}-${id}`)).status,
    409,
  );
  assert.equal((await node.ask("GET", "/logs/orders?offset=0&log_id=1")).status, 400);
});

test("what a cache keeps of a record is checked again where another content type of the log changes it", async () => {
  await using node = await withOrders("a");
  const logId = String((await node.ask("HEAD", "/logs/orders")).headers["tailrace-log-id"]);
  const read = async (accept: string | undefined, etag?: unknown) => {
    const headers: Record<string, string> = accept === undefined ? {} : { accept };
    if (etag !== undefined) headers["if-none-match"] = String(etag);
    const { status, headers: found } = await node.ask(
      "GET",
      `/logs/orders?offset=0&log_id=${logId}`,
      undefined,
      headers,
    );
    return { status, type: found["content-type"], caching: found["cache-control"], etag: found["etag"] };
  };
  const lasting = "private, max-age=31536000, immutable";
  for (const accept of [undefined, "application/json", "*/*", "text/plain, application/json"])
    assert.equal((await read(accept)).caching, lasting, accept ?? "no Accept");
  for (const accept of ["text/plain", "text/plain, */*;q=0.5", "application/octet-stream"])
    assert.equal((await read(accept)).caching, "private, no-cache", accept);
  const before = await read("application/octet-stream");
  assert.equal((await read("application/octet-stream", before.etag)).status, 304);
  await node.ask("PATCH", "/logs/orders", '{"content_type":"text/plain"}');
  const after = await read("application/octet-stream", before.etag);
  assert.deepEqual([after.status, after.type], [200, "text/plain"]);
  assert.equal((await read("text/plain")).type, "text/plain", "it was JSON before");
});

test("a response without a body counts no bytes, and no record", async () => {
  const ends: number[] = [];
  let recordsSent: () => unknown = () => undefined;
  const metrics: Metrics = {
    ...noMetrics,
    total: (name, _options, observe) => {
      if (name === "tailrace.records.sent") recordsSent = observe;
      return () => undefined;
    },
  };
  const telemetry = {
    ...noTelemetry,
    metrics,
    begin: (call: CallStart) => ({
      ...noTelemetry.begin(call),
      end: (_code: string, _in: number, bytesOut: number) => ends.push(bytesOut),
    }),
  };
  await using node = await serveNode({ telemetry });
  await node.ask("PUT", "/logs/orders");
  await node.ask("POST", "/logs/orders", "ü");
  ends.length = 0;
  const read = await node.ask("GET", "/logs/orders?offset=0&format=text");
  await node.ask("HEAD", "/logs/orders?offset=0&format=text");
  await node.ask("HEAD", "/logs/orders");
  assert.deepEqual(ends, [Buffer.byteLength(read.text), 0, 0]);
  assert.equal(recordsSent(), 1);
});

test("from and limit are lines that stop at the end; follow goes on", async () => {
  await using node = await withOrders("a", "b", "c");
  const read = async (query: string) => {
    const answer = await node.ask("GET", `/logs/orders?${query}`);
    assert.equal(answer.headers["content-type"], "application/x-ndjson");
    return offsets(answer.text);
  };
  assert.deepEqual(await read("from=start"), [0, 1, 2]);
  assert.deepEqual(await read("from=1"), [1, 2]);
  assert.deepEqual(await read("from=-1"), [2]);
  assert.deepEqual(await read("from=end"), []);
  assert.deepEqual(await read("limit=2"), [0, 1]);
  assert.deepEqual(await read("from=0&limit=99&format=text"), [0, 1, 2]);
  assert.deepEqual(await read("from=0&follow&limit=2"), [0, 1]);
  assert.deepEqual(await read("follow=false"), [0, 1, 2]);
  for (const query of ["from=x", "limit=0", "follow=x", "frm=1", "from=0&from=1"])
    assert.equal((await node.ask("GET", `/logs/orders?${query}`)).status, 400, query);

  const tail = await openTail(`${node.url}/logs/orders?from=2&follow`);
  assert.match((await tail.next())?.data ?? "", /^\{"offset":2,/);
  await node.ask("POST", "/logs/orders", "d");
  let line = await tail.next();
  while (line?.data === "") line = await tail.next();
  assert.match(line?.data ?? "", /^\{"offset":3,/);
  tail.close();
});

test("events are a live tail whose ids resume", async () => {
  await using node = await withOrders("a", "b", "c");
  const events = { accept: "text/event-stream" };
  const live = await openTail(`${node.url}/logs/orders`, events);
  assert.deepEqual([live.status, live.contentType], [200, "text/event-stream"]);
  assert.equal((await live.next())?.event, "retry");
  await node.ask("POST", "/logs/orders", "d");
  let event = await live.next();
  while (event?.event === "comment") event = await live.next();
  const log = (await node.ask("HEAD", "/logs/orders")).headers["tailrace-log-id"];
  assert.equal(event?.id, `${log}.3`);
  live.close();
  const resumed = await openTail(`${node.url}/logs/orders?limit=2`, { ...events, "last-event-id": "0" });
  assert.deepEqual(
    (await resumed.all()).flatMap(({ id }) => id ?? []),
    [`${log}.1`, `${log}.2`],
  );
  const named = await openTail(`${node.url}/tail?log=orders&from=2&limit=1&format=text`);
  assert.match((await named.all())[1]?.data ?? "", /"text":"c"/);
  const lines = await openTail(`${node.url}/tail?log=orders&from=2&limit=1`, {
    accept: "application/x-ndjson",
  });
  assert.deepEqual(offsets((await lines.all()).map(({ data }) => data).join("\n")), [2]);
  for (const query of ["log=", "log=a//b", "log=orders&log=orders", "log=orders&prefix=a"])
    assert.equal((await node.ask("GET", `/tail?${query}`)).status, 400, query);
  assert.equal((await node.ask("POST", "/tail?log=orders")).status, 405);
});

test("the id of an event does not resume in another log that has the name now", async () => {
  await using node = await withOrders("a", "b", "c");
  const events = { accept: "text/event-stream" };
  const read = async (id: string, query = "limit=1") => {
    const tail = await openTail(`${node.url}/logs/orders?${query}`, { ...events, "last-event-id": id });
    return { status: tail.status, ids: (await tail.all()).flatMap(({ id }) => id ?? []) };
  };
  const log = (await node.ask("HEAD", "/logs/orders")).headers["tailrace-log-id"];
  const seen = `${log}.0`;
  assert.deepEqual(await read(seen), { status: 200, ids: [`${log}.1`] });
  await node.ask("DELETE", "/logs/orders");
  await node.ask("PUT", "/logs/orders");
  for (const value of ["x", "y", "z"]) await node.ask("POST", "/logs/orders", value);
  const now = (await node.ask("HEAD", "/logs/orders")).headers["tailrace-log-id"];
  assert.notEqual(now, log);
  const refused = await node.ask("GET", "/logs/orders?limit=1", undefined, {
    ...events,
    "last-event-id": seen,
  });
  assert.deepEqual([refused.status, refused.json["code"]], [409, "failed_precondition"]);
  assert.deepEqual(await read(`${now}.0`), { status: 200, ids: [`${now}.1`] });
  assert.equal((await read(seen, `limit=1&log_id=${now}`)).status, 400);
  assert.equal((await node.ask("GET", "/tail", undefined, { "last-event-id": seen })).status, 400);
  for (const id of ["x", `${now}.`, `${now}.x`, ".1", "1.1", `${now}.9007199254740993`])
    assert.equal((await read(id)).status, 400, id);
});

test("a record or a body beyond the limits is 413, and nothing is written", async () => {
  await using node = await withOrders();
  const large = await node.ask("POST", "/logs/orders", "x".repeat(1024 * 1024 + 1));
  assert.deepEqual(
    [large.status, large.json["code"], large.json["written"]],
    [413, "resource_exhausted", "no"],
  );
  assert.equal((await node.ask("POST", "/logs/orders", "x".repeat(4 * 1024 * 1024 + 1))).status, 413);
  assert.equal((await node.ask("POST", "/logs/orders", "x", { "content-encoding": "br" })).status, 400);
  assert.equal((await node.ask("HEAD", "/logs/orders")).headers["tailrace-next"], "0");
});

test("a read of lines that cannot begin is a status, and a tail of events an event", async () => {
  await using node = await withOrders("a", "b", "c");
  await node.node.replica.log.named.open({ name: "orders" }).trim(2);
  for (const query of ["from=0", "from=9", "from=0&follow", "from=0&limit=1"]) {
    const { status, json } = await node.ask("GET", `/logs/orders?${query}`);
    assert.deepEqual(
      [status, json["code"], json["written"], json["lowest"], json["next"]],
      [404, "out_of_range", "no", 2, 3],
      query,
    );
  }
  const events = await node.ask("GET", "/logs/orders?from=0", undefined, { accept: "text/event-stream" });
  assert.equal(events.status, 200);
  assert.match(events.text, /event: error\ndata: \{"code":"out_of_range",.*"lowest":2,"next":3\}/);
});

test("a value has the content type of its log if it is read as it is, and a browser does not run it", async () => {
  await using node = await withOrders("hello");
  const read = async (accept?: string, name = "orders") => {
    const url = `${node.url}/logs/${name}?offset=0`;
    const answer = await fetch(url, accept === undefined ? {} : { headers: { accept } });
    const { headers, status } = answer;
    assert.equal(status, 200);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("vary"), "Accept");
    const names = [
      "content-type",
      "content-disposition",
      "content-security-policy",
      "cross-origin-resource-policy",
    ];
    const [type, disposition, policy, embedding] = names.map((each) => headers.get(each));
    const isRaw = (await answer.text()) === "hello";
    assert.equal(policy, isRaw ? "default-src 'none'; sandbox" : null);
    assert.equal(embedding, isRaw ? "same-origin" : null);
    return [type, disposition === null ? "shown" : disposition, isRaw ? "raw" : "json"];
  };
  const json = ["application/json", "shown", "json"];
  const octets = "application/octet-stream";
  assert.deepEqual(await read(octets), [octets, "attachment", "raw"]);
  const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
  for (const [type, disposition] of [
    ["text/plain; charset=utf-8", "shown"],
    ["image/png", "shown"],
    ["application/json", "shown"],
    ["text/html", "attachment"],
    ["TEXT/HTML;charset=utf-8", "attachment"],
    ["image/svg+xml", "attachment"],
    ["application/xhtml+xml", "attachment"],
    ["text/javascript", "attachment"],
  ] as const) {
    await node.ask("PATCH", "/logs/orders", JSON.stringify({ content_type: type }));
    assert.deepEqual(await read(), json, "fetch and curl accept anything");
    assert.deepEqual(await read(octets), [type, disposition, "raw"]);
    const essence = type.split(";", 1)[0] as string;
    const own = essence === "application/json" ? json : [type, disposition, "raw"];
    assert.deepEqual(await read(essence.toLowerCase()), own);
    assert.deepEqual(await read(`${essence.toLowerCase()};q=0.5, */*;q=0.4`), own);
    const wanted = browser.includes(essence.toLowerCase()) ? own : json;
    assert.deepEqual(await read(browser), wanted, type);
  }
  for (const type of ["text/plain, text/html", "html", 'text/plain; a=",text/html"', "a/b\n", 5]) {
    const answer = await node.ask("PATCH", "/logs/orders", JSON.stringify({ content_type: type }));
    assert.deepEqual([answer.status, answer.json["field"]], [400, "content_type"], String(type));
  }
  // A log whose type an earlier version took.
  const { named } = node.node.replica.log;
  const settings = { contentType: "text/plain, text/html" };
  await named.change({ kind: "update", log: { name: "orders" }, settings });
  assert.deepEqual(await read(octets), [octets, "attachment", "raw"]);
});

test("HEAD of a record has its headers and no body", async () => {
  await using node = await withOrders("hello");
  const head = await node.ask("HEAD", "/logs/orders?offset=0", undefined, {
    accept: "application/octet-stream",
  });
  const { status, text, headers } = head;
  assert.deepEqual(
    [status, text, headers["content-length"], headers["tailrace-offset"]],
    [200, "", "5", "0"],
  );
  assert.equal((await node.ask("HEAD", "/logs/orders?offset=1")).status, 404);
});
