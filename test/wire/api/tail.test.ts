import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeRun } from "../../../src/log/mod.ts";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { openTail } from "../../support/http/tail-reader.ts";
import type { MemoryLog } from "../../support/log/memory-log.ts";
import { until } from "../../support/until.ts";

const append = (log: MemoryLog, ...values: (string | Uint8Array)[]) =>
  log.append(encodeRun(values.map((value) => ({ value: Buffer.from(value) }))));
const ndjson = { accept: "application/x-ndjson" };
const allTailsClosed = (log: MemoryLog) => until("all tails are closed", () => log.openTails === 0);

test("an event has the offset as its id and the record as JSON; an end event follows at the limit", async () => {
  await using served = await serve();
  await append(served.log, "a", "b");
  const tail = await openTail(`${served.url}/tail?from=start&limit=3`, { accept: "text/event-stream" });
  assert.equal(tail.status, 200);
  assert.equal(tail.contentType, "text/event-stream");
  assert.deepEqual(await tail.next(), { event: "retry", data: "2000" });
  const first = await tail.next();
  assert.equal(first?.id, "0");
  assert.deepEqual(JSON.parse(first.data), { offset: 0, timestamp_ms: served.log.nowMs, value: "YQ==" });
  assert.equal((await tail.next())?.id, "1");
  await append(served.log, "c");
  assert.equal((await tail.next())?.id, "2");
  assert.deepEqual(await tail.next(), { event: "end", data: "{}" });
  assert.equal(await tail.next(), undefined);
  await allTailsClosed(served.log);
});

test("an EventSource resumes after the last event that it received, whatever `from` says", async () => {
  await using served = await serve();
  await append(served.log, "a", "b", "c", "d");
  const tail = await openTail(`${served.url}/tail?from=start&limit=2`, { "last-event-id": "1" });
  assert.deepEqual(
    (await tail.all()).flatMap(({ id }) => id ?? []),
    ["2", "3"],
  );
});

test("a tail starts at an offset, the start, the end, the last N or a time", async () => {
  await using served = await serve();
  for (let at = 0; at < 5; at++) {
    served.log.nowMs = Date.parse("2026-01-31T12:00:00Z") + at * 1000;
    await append(served.log, `${at}`);
  }
  const first = async (from: string, encode = encodeURIComponent): Promise<number | undefined> => {
    const tail = await openTail(`${served.url}/tail?from=${encode(from)}&limit=1`, ndjson);
    if (from === "end") await append(served.log, "new");
    const line = await tail.next();
    tail.close();
    return line === undefined ? undefined : (JSON.parse(line.data) as { offset: number }).offset;
  };
  assert.equal(await first("start"), 0);
  assert.equal(await first("3"), 3);
  assert.equal(await first("-2"), 3);
  assert.equal(await first("-99"), 0);
  assert.equal(await first(`@${Date.parse("2026-01-31T12:00:02Z")}`), 2);
  assert.equal(await first("2026-01-31T13:00:03+01:00"), 3);
  assert.equal(await first("2026-01-31T13:00:03+01:00", String), 3, "a plus sign as people type it");
  assert.equal(await first("2026-01-31T12:00:00.500Z"), 1);
  assert.equal(await first("end"), 5);
});

test("values are sent as base64, or as text or JSON if they are valid in that format", async () => {
  await using served = await serve();
  await append(served.log, '{"n":12345678901234567890,\n"ü":1}', "plain", Uint8Array.of(0xff));
  const lines = async (format: string): Promise<string[]> =>
    (await (await openTail(`${served.url}/tail?from=start&limit=3&format=${format}`, ndjson)).all()).map(
      ({ data }) => data.replace(/"timestamp_ms":\d+,/, ""),
    );
  assert.deepEqual(await lines("json"), [
    '{"offset":0,"json":{"n":12345678901234567890, "ü":1}}',
    '{"offset":1,"value":"cGxhaW4="}',
    '{"offset":2,"value":"/w=="}',
  ]);
  assert.deepEqual((await lines("text")).slice(1), [
    '{"offset":1,"text":"plain"}',
    '{"offset":2,"value":"/w=="}',
  ]);
  assert.equal((await lines("base64"))[1], '{"offset":1,"value":"cGxhaW4="}');
});

test("an offset that is deleted or beyond the end is an error event, and for lines a status", async () => {
  await using served = await serve();
  await append(served.log, "a", "b", "c");
  await served.log.trim(2);
  for (const from of ["0", "9"]) {
    const events = await (await openTail(`${served.url}/tail?from=${from}`)).all();
    const error = events.at(-1);
    assert.equal(error?.event, "error");
    const { code, lowest, next } = JSON.parse(error.data) as Record<string, unknown>;
    assert.deepEqual([code, lowest, next], ["out_of_range", 2, 3]);
    const lines = await curl(`${served.url}/tail?from=${from}`, { headers: ndjson });
    const { json, status } = lines;
    assert.deepEqual([status, json["code"], json["lowest"], json["next"]], [404, "out_of_range", 2, 3]);
  }
  assert.equal(served.log.openTails, 0);
});

test("an invalid parameter is refused with 400 and its name", async () => {
  await using served = await serve();
  for (const [query, field] of [
    ["from=x", "from"],
    ["from=1.5", "from"],
    ["from=", "from"],
    ["from=9007199254740992", "offset"],
    ["from=1&from=2", "from"],
    ["limit=0", "limit"],
    ["limit=-1", "limit"],
    ["limit=1e3", "limit"],
    ["format=xml", "format"],
    ["frm=1", "frm"],
  ] as const) {
    const answer = await curl(`${served.url}/tail?${query}`);
    assert.deepEqual([answer.status, answer.json["field"]], [400, field], query);
  }
  const lost = await curl(`${served.url}/tail`, { headers: { "last-event-id": "x" } });
  assert.deepEqual([lost.status, lost.json["field"]], [400, "Last-Event-ID"]);
  const post = await curl(`${served.url}/tail`, { method: "POST" });
  assert.deepEqual([post.status, post.headers["allow"]], [405, "GET"]);
  assert.equal(served.log.openTails, 0);
});

test("an idle tail sends pings", async () => {
  await using served = await serve({ heartbeatMs: 20 });
  const tail = await openTail(`${served.url}/tail`);
  await tail.next();
  assert.deepEqual(await tail.next(), { event: "comment", data: "ping" });
  tail.close();
  const lines = await openTail(`${served.url}/tail`, ndjson);
  assert.deepEqual(await lines.next(), { data: "" });
  lines.close();
  await allTailsClosed(served.log);
});

test("nothing is read for a client that does not take records, and other clients continue", async () => {
  await using served = await serve();
  const value = Buffer.alloc(100_000, "x");
  for (let at = 0; at < 300; at++) await append(served.log, value);
  let taken = 0;
  const follow = served.log.follow.bind(served.log);
  served.log.follow = (offset) => {
    const tail = follow(offset);
    const take = tail.take.bind(tail);
    return Object.assign(tail, {
      take: (bytes?: number) => {
        taken++;
        return take(bytes);
      },
    });
  };
  const slow = await openTail(`${served.url}/tail?from=start`, ndjson);
  slow.response.pause();
  let before = -1;
  let unchanged = 0;
  await until("the server reads no more slices", () => {
    unchanged = before === taken ? unchanged + 1 : 0;
    before = taken;
    return unchanged === 100;
  });
  assert.ok(taken < 150, `${taken} of 300 slices were read for a client that reads nothing`);
  const fast = await openTail(`${served.url}/tail?from=start&limit=300`, ndjson);
  assert.equal((await fast.all()).length, 300);
  slow.close();
  await allTailsClosed(served.log);
});

test("clients that disconnect are freed, thousands in a row", async () => {
  await using served = await serve();
  for (let round = 0; round < 10; round++) {
    const tails = await Promise.all(
      Array.from({ length: 100 }, () => openTail(`${served.url}/tail`, ndjson)),
    );
    for (const tail of tails) tail.close();
  }
  await allTailsClosed(served.log);
  assert.equal(served.service.calls.openCalls, 0);
  assert.equal(served.service.traffic.tails, 0);
});

test("a page of a listed origin can read the tail; a page of another origin gets no CORS headers", async () => {
  await using served = await serve({ origins: { origins: ["https://good.example"], hosts: [] } });
  await append(served.log, "a");
  const headers = (origin: string) => curl(`${served.url}/tail?from=start&limit=1`, { headers: { origin } });
  const good = await headers("https://good.example");
  assert.equal(good.headers["access-control-allow-origin"], "https://good.example");
  assert.equal(good.headers["vary"], "Origin");
  assert.equal((await headers("https://evil.example")).headers["access-control-allow-origin"], undefined);
  const preflight = await curl(`${served.url}/log.v1.Log/Produce`, {
    method: "OPTIONS",
    headers: { origin: "https://good.example", "access-control-request-method": "POST" },
  });
  assert.equal(preflight.status, 204);
  assert.match(String(preflight.headers["access-control-allow-headers"]), /Connect-Protocol-Version/i);
  assert.equal(preflight.headers["access-control-max-age"], "7200");
  const refused = await curl(`${served.url}/log.v1.Log/Produce`, {
    method: "OPTIONS",
    headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
  });
  assert.equal(refused.headers["access-control-allow-origin"], undefined);
  assert.equal(refused.headers["access-control-allow-headers"], undefined);
});
