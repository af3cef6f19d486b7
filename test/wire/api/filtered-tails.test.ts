/** TailLogs, `/tail` and `/logs/NAME` with a filter. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import type { TailLogsResponse } from "../../../src/gen/log/v1/log_pb.js";
import { prng } from "../../../src/lib/prng.ts";
import { encodeRun } from "../../../src/log/mod.ts";
import {
  type FilteredRecord,
  libraryFilter,
  randomCondition,
  randomRecord,
} from "../../support/filter/random-filters.ts";
import { serve } from "../../support/http/serve.ts";
import { openTail, type TailEvent } from "../../support/http/tail-reader.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";
import { bytes, collect, failing, inEachProtocol, text } from "./rpc-protocols.ts";

const ndjson = { accept: "application/x-ndjson" };
const events = { accept: "text/event-stream" };
const offsetOf = ({ data }: TailEvent): number[] => {
  const { offset } = JSON.parse(data) as { offset?: number };
  return offset === undefined ? [] : [offset];
};

inEachProtocol("filtered tails of several logs", (open) => {
  test("records of several logs are filtered, and a token resumes without a gap", async () => {
    const directory = scratchDirectory();
    const node = await openOneNode(directory.path);
    const { log } = node.replica;
    {
      await using served = await open({ log, named: log.named, filterMs: 2 });
      const { logs, client } = served;
      for (const name of ["a/1", "a/2"]) await logs.createLog({ name });
      const expected: string[] = [];
      for (let at = 0; at < 20; at++) {
        const name = at % 2 === 0 ? "a/1" : "a/2";
        const records = Array.from({ length: 200 }, (_, n) => ({ value: bytes(`{"n":${n},"at":${at}}`) }));
        await client.produceBatch({ log: name, records });
        expected.push(`${name} {"n":7,"at":${at}}`, `${name} {"n":150,"at":${at}}`);
      }
      const found: string[] = [];
      const filter = "json.n == 7.0 || json.n == 150.0";
      for (let resume = "", rounds = 0; found.length < expected.length; rounds++) {
        assert.ok(rounds < 1_000, "it comes forward");
        const stop = new AbortController();
        const stream = logs.tailLogs({ prefix: "a/", filter, resume, fromStart: resume === "" }, stop);
        let first: TailLogsResponse | undefined;
        try {
          for await (const response of stream) {
            first ??= response;
            found.push(...response.records.map(({ value }) => `${response.log} ${text(value)}`));
            if (response.resume !== "") resume = response.resume;
            if (response.caughtUp) break;
          }
        } finally {
          stop.abort();
        }
        assert.deepEqual([first?.heartbeat, first?.filtered], [true, true]);
      }
      assert.deepEqual(found, expected);
      const { fault } = await failing(() => collect(logs.tailLogs({ prefix: "a/", filter: "x" })));
      assert.deepEqual(fault.facts, { field: "filter", character: 0 });
    }
    await node[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });
});

test("GET /tail sends what matches, and the position, with which an EventSource resumes", async () => {
  await using served = await serve({ heartbeatMs: 20 });
  const run = (from: number, count: number) =>
    encodeRun(Array.from({ length: count }, (_, at) => ({ value: Buffer.from(`{"n":${from + at}}`) })));
  await served.log.append(run(0, 10));
  const filter = encodeURIComponent("json.n == 3.0 || json.n == 12.0");
  const tail = await openTail(`${served.url}/tail?from=start&filter=${filter}`, events);
  const seen: TailEvent[] = [];
  const has = async (what: (event: TailEvent) => boolean): Promise<TailEvent> => {
    for (let event = await tail.next(); event !== undefined; event = await tail.next()) {
      seen.push(event);
      if (what(event)) return event;
    }
    throw new Error(`not among ${JSON.stringify(seen)}`);
  };
  assert.equal((await has(({ id }) => id === "3")).data.includes('"offset":3'), true);
  const position = await has(({ event, id }) => event === "position" && id === "9");
  assert.deepEqual(JSON.parse(position.data), { next: 10, end: 10 });
  await served.log.append(run(10, 5));
  assert.equal((await has(({ event }) => event === undefined)).id, "12");
  await has(({ event, id }) => event === "position" && id === "14");
  tail.close();
  const refused = await openTail(`${served.url}/tail?filter=key%20=`, events);
  assert.equal(refused.status, 400);
  assert.match((await refused.next())?.data ?? "", /"field":"filter"/);
  await until("all tails are closed", () => served.log.openTails === 0);
});

test("lines of GET /logs/NAME stop at the end with the position, or are suspended", async () => {
  const directory = scratchDirectory();
  const node = await openOneNode(directory.path);
  const { log } = node.replica;
  {
    await using served = await serve({ log, named: log.named, filterMs: 1, fastPath: createFastPath });
    const values = Array.from({ length: 30_000 }, (_, at) => ({ value: Buffer.from(`{"n":${at % 1_000}}`) }));
    await log.append(encodeRun(values));
    const found: number[] = [];
    let suspensions = 0;
    for (let from = 0; from < values.length; ) {
      const url = `${served.url}/logs/default?from=${from}&filter=${encodeURIComponent("json.n == 999.0")}`;
      const lines = await (await openTail(url, ndjson)).all();
      found.push(...lines.flatMap(offsetOf));
      const last = JSON.parse(lines.at(-1)?.data ?? "{}") as Record<string, { next: number }>;
      const { next } = last["suspended"] ?? last["position"]!;
      if (last["suspended"] !== undefined) suspensions++;
      assert.ok(next > from);
      from = next;
    }
    assert.deepEqual(
      found,
      Array.from({ length: 30 }, (_, at) => at * 1_000 + 999),
    );
    assert.ok(suspensions > 0);
    await using unhurried = await serve({ log, named: log.named });
    const limited = await openTail(
      `${unhurried.url}/logs/default?from=start&limit=2&filter=${encodeURIComponent("json.n == 5.0")}`,
      ndjson,
    );
    assert.deepEqual((await limited.all()).flatMap(offsetOf), [5, 1_005]);
    const several = await openTail(
      `${served.url}/tail?log=default&prefix=&filter=${encodeURIComponent("true")}`,
      ndjson,
    );
    assert.equal(several.status, 400);
  }
  await node[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

test("a filter in the server selects what the library selects of the records that are read without it", async () => {
  const random = prng("filters in the server");
  for (const fastPath of [createFastPath, undefined]) {
    await using served = await serve({ fastPath });
    const records: FilteredRecord[] = [];
    for (let batch = 0; batch < 20; batch++) {
      const run = Array.from({ length: random.between(1, 20) }, () => randomRecord(random));
      records.push(...run);
      await served.log.append(encodeRun(run));
    }
    for (let round = 0; round < 60; round++) {
      const condition = randomCondition(random);
      const from = random.between(0, records.length);
      const url = `${served.url}/logs/default?from=${from}&filter=${encodeURIComponent(condition)}`;
      const tail = await openTail(url, ndjson);
      assert.equal(tail.status, 200, condition);
      const found = (await tail.all()).flatMap(offsetOf);
      const matches = libraryFilter(condition);
      const expected = records.flatMap((record, offset) =>
        offset >= from && matches(record, offset, served.log.nowMs) ? [offset] : [],
      );
      assert.deepEqual(found, expected, condition);
    }
  }
});
