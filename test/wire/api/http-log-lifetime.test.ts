/** A name that is deleted and created again, while it is written and read over HTTP: the logs do not mix. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ServedNode, serveNode } from "../../support/http/serve-node.ts";
import { openTail, type TailReader } from "../../support/http/tail-reader.ts";
import { until } from "../../support/until.ts";

const generations = 25;
const events = { accept: "text/event-stream" };

/** The value of each record of the test begins with the id of the log that it was sent to. */
const ownerOf = (value: string): string => value.split(":")[0] ?? "";

interface Load {
  readonly node: ServedNode;
  ended: boolean;
  id: string;
  written: number;
  read: number;
}

/** Appends with the id that the log has now. The log may be gone or another one by then. */
async function write(load: Load): Promise<void> {
  for (let at = 0; !load.ended; at++) {
    const { id } = load;
    const { status, text, headers } = await load.node.ask("POST", `/logs/x?log_id=${id}`, `${id}:${at}`);
    assert.ok([200, 404, 409].includes(status), text);
    if (status !== 200) continue;
    assert.equal(headers["tailrace-log-id"], id);
    load.written++;
  }
}

/** Appends without an id: what is stored is in one of the logs, and says nothing about which. */
async function writeAny(load: Load): Promise<void> {
  while (!load.ended) {
    const { status, text, headers } = await load.node.ask("POST", "/logs/x", "any");
    assert.ok([200, 404].includes(status), text);
    if (status === 200) assert.match(String(headers["tailrace-log-id"]), /^\d+-\d+$/);
  }
}

function check(load: Load, value: string, id: unknown): void {
  if (value !== "any") assert.equal(ownerOf(value), id);
  load.read++;
}

async function readRecords(load: Load): Promise<void> {
  for (let at = 0; !load.ended; at++) {
    const answer = await load.node.ask("GET", `/logs/x?offset=${at % 5}`, undefined, {
      accept: "application/octet-stream",
    });
    if (answer.status === 200) check(load, answer.text, answer.headers["tailrace-log-id"]);
    else assert.equal(answer.status, 404, answer.text);
  }
}

async function readLines(load: Load): Promise<void> {
  while (!load.ended) {
    const answer = await load.node.ask("GET", "/logs/x?from=start&format=text&limit=50");
    if (answer.status !== 200) {
      assert.equal(answer.status, 404, answer.text);
      continue;
    }
    const lines = answer.text.split("\n").filter((line) => line !== "");
    for (const [at, line] of lines.entries()) {
      const { text, offset, error } = JSON.parse(line) as {
        text: string;
        offset: number;
        error?: { code: string };
      };
      if (error !== undefined) assert.equal(error.code, "not_found");
      else {
        assert.equal(offset, at);
        check(load, text, answer.headers["tailrace-log-id"]);
      }
    }
  }
}

/** Tails the log until it is deleted, again and again. Returns how many tails ended with not_found. */
async function readTails(load: Load, url: string, tails: Set<TailReader>): Promise<number> {
  let ends = 0;
  while (!load.ended) {
    const tail = await openTail(url, events);
    if (tail.status !== 200) {
      assert.equal(tail.status, 404);
      await tail.all();
      continue;
    }
    tails.add(tail);
    const id = tail.response.headers["tailrace-log-id"];
    let next = 0;
    for (let event = await tail.next(); event !== undefined; event = await tail.next()) {
      if (event.event === "error") {
        assert.equal((JSON.parse(event.data) as { code: string }).code, "not_found");
        ends++;
      }
      if (event.event !== undefined) continue;
      assert.equal(event.id, `${id}.${next++}`);
      check(load, (JSON.parse(event.data) as { text: string }).text, id);
    }
    tails.delete(tail);
  }
  return ends;
}

test("a name that is deleted and created under load never shows a record of the old log", async () => {
  await using node = await serveNode();
  const created = await node.ask("PUT", "/logs/x");
  const load: Load = { node, ended: false, id: String(created.json["log_id"]), written: 0, read: 0 };
  const tails = new Set<TailReader>();
  const ofLog = readTails(load, `${node.url}/logs/x?from=0&format=text`, tails);
  const ofTail = readTails(load, `${node.url}/tail?log=x&from=0&format=text`, tails);
  const loops = [write(load), write(load), writeAny(load), readRecords(load), readLines(load)];
  const all = Promise.all([...loops, ofLog, ofTail]);
  const failed = all.then(
    () => undefined,
    (reason: unknown) => reason ?? new Error("failed"),
  );
  let failure: unknown;
  void failed.then((reason) => (failure = reason));
  const seen = new Set([load.id]);
  for (let generation = 1; generation < generations && failure === undefined; generation++) {
    const { written, read } = load;
    await until(
      "the log is written and read",
      () => failure !== undefined || (load.written > written + 5 && load.read > read + 20),
    );
    assert.equal((await node.ask("DELETE", `/logs/x?log_id=${load.id}`)).status, 204);
    const again = await node.ask("PUT", "/logs/x");
    assert.equal(again.status, 201);
    load.id = String(again.json["log_id"]);
    assert.ok(!seen.has(load.id), "an id is never used again");
    seen.add(load.id);
  }
  load.ended = true;
  assert.equal((await node.ask("DELETE", "/logs/x")).status, 204);
  await failed;
  assert.equal(failure, undefined);
  assert.ok((await ofLog) > generations / 2 && (await ofTail) > generations / 2, "tails end with not_found");
});

test("the tail of a deleted log ends with not_found, also when the name is created at once", async () => {
  await using node = await serveNode();
  await node.ask("PUT", "/logs/x");
  await node.ask("POST", "/logs/x", "old");
  const tails = await Promise.all([
    openTail(`${node.url}/logs/x`, events),
    openTail(`${node.url}/logs/x?from=0&follow`),
    openTail(`${node.url}/tail?log=x&from=0`),
  ]);
  const [deleted, created] = await Promise.all([node.ask("DELETE", "/logs/x"), node.ask("PUT", "/logs/x")]);
  assert.equal(deleted.status, 204);
  assert.ok([200, 201].includes(created.status));
  await node.ask("POST", "/logs/x?create", "new");
  for (const tail of tails) {
    const all = await tail.all();
    const last = all.at(-1)?.data ?? "";
    assert.match(last, /"code":"not_found"/);
    assert.ok(!JSON.stringify(all).includes(Buffer.from("new").toString("base64")));
  }
  assert.equal((await node.ask("GET", "/logs/x?offset=0&format=text")).json["record"] !== undefined, true);
  assert.match((await node.ask("GET", "/logs/x?offset=0&format=text")).text, /"text":"new"/);
});

test("a tail that resumes with the id of a deleted log is refused, and does not go on in the new one", async () => {
  await using node = await serveNode();
  const old = (await node.ask("PUT", "/logs/x")).json["log_id"];
  await node.ask("POST", "/logs/x", "old");
  await node.ask("DELETE", "/logs/x");
  const gone = await node.ask("GET", `/logs/x?from=0&log_id=${old}`);
  assert.deepEqual([gone.status, gone.json["code"]], [404, "not_found"]);
  await node.ask("PUT", "/logs/x");
  for (const [method, query, body] of [
    ["GET", "from=0"],
    ["GET", "offset=0"],
    ["GET", ""],
    ["HEAD", ""],
    ["POST", "", "v"],
    ["PATCH", "", "{}"],
    ["DELETE", ""],
  ] as const) {
    const answer = await node.ask(method, `/logs/x?${query}&log_id=${old}`, body);
    assert.equal(answer.status, 409, `${method} ${query}`);
    if (method !== "HEAD") assert.equal(answer.json["reason"], "ANOTHER_LOG");
  }
  assert.equal((await node.ask("GET", `/tail?log=x&log_id=${old}`, undefined, events)).status, 409);
  assert.equal((await node.ask("HEAD", "/logs/x")).headers["tailrace-next"], "0");
});
