/** The names of logs in paths, and who may do what with which name, over HTTP. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { accessAs, type ServedNode, serveNode } from "../../support/http/serve-node.ts";

/** Sends a request with this target as it is, and returns status and body. */
function raw(
  { served }: ServedNode,
  method: string,
  target: string,
): Promise<[status: number, body: string]> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.port, "127.0.0.1", () =>
      socket.write(
        `${method} ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
        "latin1",
      ),
    );
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const body = text.slice(text.indexOf("\r\n\r\n") + 4);
      resolve([Number(text.slice(9, 12)), body]);
    });
  });
}

test("a name can have slashes, spaces, emoji and percent signs; %2F is a slash", async () => {
  await using node = await serveNode();
  const names: readonly [path: string, name: string][] = [
    ["orders/eu/1", "orders/eu/1"],
    ["a%20b", "a b"],
    ["%F0%9F%98%80/%E2%82%AC", "😀/€"],
    ["a%2Fb%2fc", "a/b/c"],
    ["100%25", "100%"],
    ["%252F", "%2F"],
    ["a+b&c=d;e", "a+b&c=d;e"],
    ["...", "..."],
    ["a..b/.c", "a..b/.c"],
  ];
  for (const [path, name] of names) {
    const [status, body] = await raw(node, "PUT", `/logs/${path}`);
    assert.equal(status, 201, path);
    assert.equal((JSON.parse(body) as { name: string }).name, name);
    assert.equal((await raw(node, "POST", `/logs/${path}`))[1], '{"offset":0}\n');
    assert.equal((await raw(node, "GET", `/logs/${path}?offset=0`))[0], 200, path);
  }
  assert.equal((await raw(node, "GET", "/logs/a/b/c?offset=0"))[0], 200, "the same name without %2F");
  const listed = (await node.ask("GET", "/logs")).json["logs"] as { name: string }[];
  assert.deepEqual(listed.map(({ name }) => name).sort(), names.map(([, name]) => name).sort());
});

test("a path that names no log is 400 with a sentence", async () => {
  await using node = await serveNode();
  for (const path of [
    "",
    "a/",
    "/a",
    "a//b",
    "a%2F",
    "%2Fa",
    ".",
    "..",
    "a/../b",
    "%2e%2e",
    "a/%2E/b",
    "a%2F..%2Fb",
    "%ff",
    "%c3%28",
    "%ed%a0%80",
    "%",
    "%4",
    "%zz",
    "\u00e9",
    "a%00b",
    "a%0Ab",
    "a%7Fb",
    "a*",
    "%3F",
    "a%5Bb%5D",
    "%7Bb%7D",
    "a%5Cb",
    "_x",
    "x".repeat(256),
    "%F0%9F%98%80".repeat(64),
    "x".repeat(5000),
  ]) {
    const [status, body] = await raw(node, "PUT", `/logs/${path}`);
    // Node's parser refuses bytes beyond ASCII in a target by itself.
    assert.equal(status, 400, path);
    if (path === "\u00e9") continue;
    const { code, message, written } = JSON.parse(body) as Record<string, string>;
    assert.deepEqual([code, written], ["invalid_argument", "no"], path);
    assert.ok((message ?? "").length > 15);
  }
  assert.equal((await raw(node, "PUT", `/logs/${"x".repeat(255)}`))[0], 201);
  assert.equal((await node.ask("GET", "/logs?prefix=x")).status, 200);
});

test("a name that is not in NFC is 400 with the NFC form", async () => {
  await using node = await serveNode();
  const [status, body] = await raw(node, "PUT", `/logs/${encodeURIComponent("cafe\u0301")}`);
  assert.equal(status, 400);
  assert.match((JSON.parse(body) as { message: string }).message, /"caf\u00e9"/);
  assert.equal((await raw(node, "PUT", `/logs/${encodeURIComponent("caf\u00e9")}`))[0], 201);
});

test("over HTTP/2 a name is the same", async () => {
  const { connect: connectH2 } = await import("node:http2");
  await using node = await serveNode();
  const session = connectH2(node.url);
  try {
    const ask = (method: string, path: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ":method": method, ":path": path });
        stream.on("response", (headers) => resolve(Number(headers[":status"])));
        stream.on("error", reject);
        stream.resume();
        stream.end();
      });
    assert.equal(await ask("PUT", "/logs/a%2Fb"), 201);
    assert.equal(await ask("HEAD", "/logs/a/b"), 200);
    assert.equal(await ask("PUT", "/logs/a/%2e%2e"), 400);
    assert.equal(await ask("DELETE", "/logs/a/b"), 204);
    assert.equal(await ask("GET", "/logs/a/b"), 404);
  } finally {
    session.close();
  }
});

test("permission is checked for the name, and before the log is looked for", async () => {
  let subject = "root";
  const policy = [
    "p, root, *, create",
    "p, root, *, describe",
    "p, writer, orders/*, produce",
    "p, reader, orders/*, consume",
    "p, viewer, orders/*, describe",
    "p, maker, tmp/*, create",
    "p, maker, tmp/*, produce",
    "p, admin, orders/eu, configure",
    "p, admin, orders/eu, delete",
  ].join("\n");
  await using node = await serveNode({ access: await accessAs(policy, () => subject) });
  for (const name of ["orders/eu", "orders/us", "secret"]) await node.ask("PUT", `/logs/${name}`);
  const as = async (who: string, method: string, path: string, body?: string): Promise<number> => {
    subject = who;
    return (await node.ask(method, path, body)).status;
  };
  const requests = [
    ["PUT", "", "{}"],
    ["POST", "", "v"],
    ["POST", "?create", "v"],
    ["GET", "?offset=0"],
    ["GET", "?from=start"],
    ["GET", ""],
    ["HEAD", ""],
    ["PATCH", "", "{}"],
    ["DELETE", ""],
  ] as const;
  for (const [method, query, body] of requests) {
    for (const name of ["secret", "absent"])
      assert.equal(
        await as("writer", method, `/logs/${name}${query}`, body),
        403,
        `${method} ${name}${query}`,
      );
  }
  assert.equal(await as("reader", "GET", "/tail?log=secret"), 403);
  assert.equal(await as("writer", "POST", "/logs/orders/eu", "v"), 200);
  assert.equal(await as("writer", "GET", "/logs/orders/eu?offset=0"), 403);
  assert.equal(await as("writer", "POST", "/logs/orders/none", "v"), 404);
  assert.equal(
    await as("writer", "POST", "/logs/orders/none?create", "v"),
    403,
    "to create is another right",
  );
  assert.equal(await as("reader", "GET", "/logs/orders/eu?offset=0"), 200);
  assert.equal(await as("reader", "GET", "/logs/orders/eu?from=0"), 200);
  assert.equal(await as("reader", "GET", "/logs/orders/eu"), 403);
  assert.equal(await as("reader", "GET", "/logs/orders/none?offset=0"), 404);
  assert.equal(await as("viewer", "HEAD", "/logs/orders/eu"), 200);
  assert.equal(await as("maker", "POST", "/logs/tmp/1?create", "v"), 200);
  assert.equal(await as("admin", "PATCH", "/logs/orders/us", "{}"), 403);
  assert.equal(await as("admin", "PATCH", "/logs/orders/eu", '{"max_bytes":9}'), 200);
  subject = "viewer";
  const list = (await node.ask("GET", "/logs")).json["logs"] as { name: string }[];
  assert.deepEqual(
    list.map(({ name }) => name),
    ["orders/eu", "orders/us"],
  );
  assert.equal(await as("writer", "GET", "/logs"), 403);
  assert.equal(await as("admin", "DELETE", "/logs/orders/eu"), 204);
});

test("pages of listed origins may use all methods and headers; pages of others change nothing", async () => {
  const page = "https://good.example";
  await using node = await serveNode({ origins: { origins: [page], hosts: [] } });
  const preflight = await node.ask("OPTIONS", "/logs/orders", undefined, {
    origin: page,
    "access-control-request-method": "PUT",
  });
  assert.equal(preflight.status, 204);
  const listOf = (name: string, from = preflight): string[] =>
    String(from.headers[name]).toLowerCase().split(", ");
  for (const method of ["get", "head", "post", "put", "patch", "delete"])
    assert.ok(method === "get" || listOf("access-control-allow-methods").includes(method), method);
  for (const name of ["if-match", "if-none-match", "tailrace-key", "tailrace-producer"])
    assert.ok(listOf("access-control-allow-headers").includes(name), name);
  const put = await node.ask("PUT", "/logs/orders", undefined, { origin: page });
  assert.deepEqual([put.status, put.headers["access-control-allow-origin"]], [201, page]);
  for (const name of ["etag", "tailrace-lowest", "tailrace-next", "tailrace-log-id", "tailrace-stored"])
    assert.ok(listOf("access-control-expose-headers", put).includes(name), name);
  assert.equal(put.headers["vary"], "Origin");
  const read = await node.ask("GET", "/logs/orders", undefined, { origin: page });
  assert.equal(read.headers["vary"], "Origin, Accept");
  const other = { origin: "https://evil.example" };
  for (const [method, body] of [["PUT"], ["POST", "x"], ["PATCH", "{}"], ["DELETE"]] as const)
    assert.equal((await node.ask(method, "/logs/orders", body, other)).status, 403, method);
  assert.equal(
    (await node.ask("HEAD", "/logs/orders", undefined, other)).status,
    200,
    "a page cannot read it",
  );
});

test("a query that is not percent-encoded UTF-8 is refused by every route, with what was found", async () => {
  await using node = await serveNode();
  assert.equal(
    (await raw(node, "PUT", "/logs/%EF%BF%BD"))[0],
    400,
    "no log has the name that it would become",
  );
  const targets: readonly [method: string, target: string, field: string, found: string][] = [
    ["GET", "/tail?log=%ff", "log", "%ff"],
    ["GET", "/tail?log=a&log=b%C3", "log", "%C3"],
    ["GET", "/tail?from=start&filter=%ed%a0%80", "filter", "%ed%a0%80"],
    ["GET", "/tail?prefix=%c3%28", "prefix", "%c3%28"],
    ["GET", "/logs?after=a%80", "after", "%80"],
    ["GET", "/logs/a?cursor=%ff", "cursor", "%ff"],
    ["GET", "/logs/a?%ff=1", "a parameter", "%ff"],
    ["PUT", "/logs/a?x=%f0%9f%98", "x", "%f0%9f%98"],
    ["POST", "/logs/a?create&log_id=%ff", "log_id", "%ff"],
    ["DELETE", "/logs/a?log_id=%ff", "log_id", "%ff"],
    ["GET", "/cursors?log=%ff", "log", "%ff"],
    ["PUT", "/cursors/a?log=%ff", "log", "%ff"],
    ["PUT", "/v1/stream/a?log_id=%ff", "log_id", "%ff"],
    ["GET", "/v1/stream/a?live=sse&cursor=%ff", "cursor", "%ff"],
    ["GET", "/?offset=%ff", "offset", "%ff"],
    ["POST", "/?log=%ff", "log", "%ff"],
    ["GET", "/log.v1.Logs/GetLog?encoding=json&message=%7B%22name%22%3A%22%ff%22%7D", "message", "%ff"],
  ];
  for (const [method, target, field, found] of targets) {
    const [status, body] = await raw(node, method, target);
    const { code, message, written, ...facts } = JSON.parse(body) as Record<string, string>;
    assert.deepEqual([status, code, written, facts["field"]], [400, "invalid_argument", "no", field], target);
    assert.match(message ?? "", new RegExp(`^${field} .*found .*${found}`), target);
  }
  // Valid text goes on, also the character that stands for bytes that are none.
  for (const target of ["/tail?log=%EF%BF%BD", "/tail?log=gr%C3%B6%C3%9Fe+%F0%9F%98%80", "/tail?log=100%"])
    assert.equal((await raw(node, "GET", target))[0], 404, target);
});

test("a path or a body that is not UTF-8 is refused, and the path with what was found", async () => {
  await using node = await serveNode();
  for (const path of ["/logs/a/%ff", "/cursors/%ff", "/v1/stream/%ff"]) {
    const [status, body] = await raw(node, "GET", path);
    assert.equal(status, 400, path);
    assert.match((JSON.parse(body) as { message: string }).message, /found "%ff"/, path);
  }
  await node.ask("PUT", "/logs/a");
  const bad = (text: string): Buffer => Buffer.from(text, "latin1");
  const json = { "content-type": "application/json" };
  for (const [method, path, body, headers] of [
    ["PUT", "/cursors/a", bad('{"offset":0,"metadata":"\xff"}'), {}],
    ["PUT", "/logs/b", bad('{"content_type":"\xff"}'), {}],
    ["POST", "/log.v1.Logs/GetLog", bad('{"name":"\xff"}'), json],
    ["POST", "/log.v1.Logs/CreateLog", bad('{"name":"\xff"}'), json],
    ["POST", "/log.v1.Log/Consume", bad('{"log":"\xff"}'), json],
    ["POST", "/log.v1.Log/Produce", bad('{"record":{"value":""},"log":"\xff"}'), json],
    ["POST", "/log.v1.Cursors/Commit", bad('{"name":"a","metadata":"\xff"}'), json],
  ] as const) {
    const answer = await node.ask(method, path, body, headers);
    assert.deepEqual(
      [answer.status, answer.json["code"]],
      [400, "invalid_argument"],
      `${path} ${answer.text}`,
    );
  }
  assert.deepEqual((await node.ask("GET", "/cursors")).json["cursors"], []);
});
