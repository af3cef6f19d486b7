/** The HTTP routes of cursors and the tails that begin at one, on a cluster of one node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessAs, serveNode } from "../../support/http/serve-node.ts";
import { run } from "../../support/log/logs.ts";
import { until } from "../../support/until.ts";

const lines = (text: string): unknown[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("a cursor is created, read, moved with its ETag, listed with its lag, and deleted", async () => {
  await using node = await serveNode();
  for (let n = 0; n < 5; n++) await node.node.append(run(`record ${n}`));
  const created = await node.ask("PUT", "/cursors/billing%2Feu", '{"offset":2,"metadata":"page 1"}');
  assert.equal(created.status, 201);
  const tag = String(created.headers["etag"]);
  assert.match(tag, /^"\d+"$/);
  const { name, log, offset, metadata, version, owner } = created.json;
  assert.deepEqual([name, log, offset, metadata], ["billing/eu", "default", 2, "page 1"]);
  assert.equal(`"${version}"`, tag);
  assert.equal(owner, "local");

  const found = await node.ask("GET", "/cursors/billing/eu");
  assert.deepEqual(
    [found.status, found.headers["etag"], found.json["offset"], found.json["lag"], found.json["next_offset"]],
    [200, tag, 2, 3, 5],
  );
  const moved = await node.ask("PUT", "/cursors/billing/eu", '{"offset":4}', { "if-match": tag });
  assert.deepEqual([moved.status, moved.json["offset"], "metadata" in moved.json], [200, 4, false]);
  const stale = await node.ask("PUT", "/cursors/billing/eu", '{"offset":5}', { "if-match": tag });
  assert.deepEqual(
    [stale.status, stale.json["reason"], stale.json["found"], stale.json["offset"], stale.json["written"]],
    [412, "CURSOR_VERSION_MISMATCH", moved.json["version"], 4, "no"],
  );
  const taken = await node.ask("PUT", "/cursors/billing/eu", '{"offset":0}', { "if-none-match": "*" });
  assert.equal(taken.status, 412);
  assert.equal((await node.ask("PUT", "/cursors/a", '{"offset":0}', { "if-none-match": "*" })).status, 201);

  const list = await node.ask("GET", "/cursors?limit=1");
  assert.deepEqual([list.json["lowest"], list.json["next_offset"], list.json["next"]], [0, 5, "a"]);
  const second = await node.ask("GET", "/cursors?after=a");
  assert.deepEqual(
    (second.json["cursors"] as { name: string; lag: number }[]).map((one) => [one.name, one.lag]),
    [["billing/eu", 1]],
  );
  assert.equal((await node.ask("DELETE", "/cursors/billing/eu", "", { "if-match": tag })).status, 412);
  assert.equal((await node.ask("DELETE", "/cursors/billing/eu")).status, 204);
  const gone = await node.ask("GET", "/cursors/billing/eu");
  assert.deepEqual([gone.status, gone.json["reason"]], [404, "NO_SUCH_CURSOR"]);
  assert.equal((await node.ask("DELETE", "/cursors/billing/eu")).status, 404);
});

test("requests that are none are refused, and nothing is committed", async () => {
  await using node = await serveNode();
  const refused = async (method: string, path: string, body?: string, headers = {}): Promise<number> =>
    (await node.ask(method, path, body, headers)).status;
  const put = "PUT";
  for (const body of [
    "",
    "[]",
    "{",
    "{}",
    '{"offset":-1}',
    '{"offset":"1"}',
    '{"offset":0.5}',
    '{"offset":0,"x":1}',
  ])
    assert.equal(await refused(put, "/cursors/a", body), 400, body);
  assert.equal(await refused(put, "/cursors/a", '{"offset":0,"metadata":1}'), 400);
  const long = JSON.stringify({ offset: 0, metadata: "ä".repeat(513) });
  assert.equal(await refused(put, "/cursors/a", long), 400);
  assert.equal(await refused(put, "/cursors/a", `{"offset":0${" ".repeat(10_000)}}`), 413);
  assert.equal(await refused(put, "/cursors/a", '{"offset":1}'), 404, "beyond the end");
  for (const path of [
    "/cursors/",
    "/cursors/a/",
    "/cursors/a*",
    "/cursors/%ff",
    "/cursors/..%2Fa",
    `/cursors/${"x".repeat(201)}`,
  ])
    assert.equal(await refused("GET", path), 400, path);
  assert.equal(await refused("GET", "/cursors/a?log=none"), 404);
  assert.equal(await refused("GET", "/cursors/a?log=no*"), 400);
  assert.equal(await refused("GET", "/cursors/a?what=1"), 400);
  assert.equal(await refused("GET", "/cursors?limit=257"), 400);
  assert.equal(await refused("GET", "/cursors?after=*"), 400);
  assert.equal(await refused("POST", "/cursors/a", "{}"), 405);
  assert.equal(await refused(put, "/cursors", "{}"), 405);
  for (const tag of ["1", "*", 'W/"1"', '"x"', '"1", "2"', '"0"'])
    assert.equal(await refused(put, "/cursors/a", '{"offset":0}', { "if-match": tag }), 400, tag);
  const both = { "if-match": '"1"', "if-none-match": "*" };
  assert.equal(await refused(put, "/cursors/a", '{"offset":0}', both), 400);
  assert.deepEqual((await node.ask("GET", "/cursors")).json["cursors"], []);
});

test("a log that is deleted and created again has no cursor of the log before, also by its id", async () => {
  await using node = await serveNode();
  const { json: old } = await node.ask("PUT", "/logs/a");
  await node.ask("POST", "/logs/a", "one");
  assert.equal((await node.ask("PUT", "/cursors/c?log=a", '{"offset":1}')).status, 201);
  assert.equal((await node.ask("DELETE", "/logs/a")).status, 204);
  assert.equal((await node.ask("GET", "/cursors/c?log=a")).json["reason"], "NO_SUCH_LOG");
  await node.ask("PUT", "/logs/a");
  assert.equal((await node.ask("GET", "/cursors/c?log=a")).json["reason"], "NO_SUCH_CURSOR");
  const stated = await node.ask("PUT", `/cursors/c?log=a&log_id=${old["log_id"]}`, '{"offset":0}');
  assert.deepEqual([stated.status, stated.json["reason"]], [409, "ANOTHER_LOG"]);
  assert.deepEqual(
    (await node.ask("GET", "/logs?prefix=")).json["logs"],
    [(await node.ask("GET", "/logs")).json["logs"]!].flat(),
  );
});

test("/tail?cursor= begins at the cursor, and at from or the start if there is none", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/logs/a");
  for (let n = 0; n < 4; n++) {
    await node.ask("POST", "/logs/a", `a ${n}`);
    await node.node.append(run(`default ${n}`));
  }
  await node.ask("PUT", "/cursors/c?log=a", '{"offset":3}');
  await node.ask("PUT", "/cursors/c", '{"offset":1}');
  const offsets = async (path: string, headers = {}): Promise<number[]> => {
    const answer = await node.ask("GET", path, undefined, { accept: "application/x-ndjson", ...headers });
    assert.equal(answer.status, 200, answer.text);
    return lines(answer.text).map((line) => (line as { offset: number }).offset);
  };
  assert.deepEqual(await offsets("/tail?cursor=c&limit=2"), [1, 2]);
  assert.deepEqual(await offsets("/tail?log=a&cursor=c&limit=1"), [3]);
  assert.deepEqual(await offsets("/tail?log=default&cursor=c&limit=1"), [1]);
  assert.deepEqual(await offsets("/logs/a?cursor=c"), [3]);
  assert.deepEqual(await offsets("/tail?cursor=none&limit=1"), [0]);
  assert.deepEqual(await offsets("/tail?cursor=none&from=2&limit=1"), [2]);
  assert.deepEqual(await offsets("/tail?cursor=c&limit=1", { "last-event-id": "2" }), [3]);
  const several = await node.ask("GET", "/tail?log=a&log=default&cursor=c");
  assert.equal(several.status, 400);
  assert.equal((await node.ask("GET", "/tail?cursor=*")).status, 400);
  await node.node.trim(3);
  const trimmed = await node.ask("GET", "/tail?cursor=c", undefined, { accept: "application/x-ndjson" });
  assert.deepEqual([trimmed.status, trimmed.json["lowest"]], [404, 3]);
});

test("a caller without the permission learns neither that a log nor that a cursor exists", async () => {
  let subject = "root";
  const policy = `
p, root, *, *
p, reader, a, consume
p, worker, a, cursor
p, viewer, a, describe`;
  await using node = await serveNode({ access: await accessAs(policy, () => subject) });
  await node.ask("PUT", "/logs/a");
  await node.ask("PUT", "/cursors/c?log=a", '{"offset":0}');
  await node.ask("PUT", "/cursors/c", '{"offset":0}');
  const outcome = async (who: string, method: string, path: string, body?: string): Promise<string> => {
    subject = who;
    const { status, json } = await node.ask(method, path, body);
    return `${status} ${String(json["message"] ?? "").replaceAll(/"[^"]*"/g, "X")}`;
  };
  for (const who of ["reader", "viewer"]) {
    for (const [method, body] of [
      ["GET", undefined],
      ["PUT", '{"offset":0}'],
      ["DELETE", undefined],
    ] as const) {
      const seen = new Set<string>();
      for (const path of ["/cursors/c?log=a", "/cursors/none?log=a", "/cursors/c?log=b", "/cursors/c"])
        seen.add(await outcome(who, method, path, body));
      assert.equal(seen.size, 1, [...seen].join("\n"));
      assert.match([...seen][0]!, /^403 /);
    }
  }
  subject = "viewer";
  assert.equal((await node.ask("GET", "/cursors?log=a")).status, 200);
  subject = "worker";
  assert.equal((await node.ask("GET", "/cursors?log=a")).status, 403);
  assert.equal((await node.ask("GET", "/cursors/c?log=a")).status, 200);
  assert.equal((await node.ask("GET", "/tail?log=a&cursor=c")).status, 403, "it may not consume");
  subject = "reader";
  assert.equal((await node.ask("GET", "/tail?log=a&cursor=c&limit=1")).status, 403, "it may not use cursors");
  subject = "root";
  await until("the log is still there", async () => (await node.ask("GET", "/logs/a")).status === 200);
});
