/** Reads with a filter behave the same in each protocol, with Connect alone and with the fast path. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import type { ConsumeResponse } from "../../../src/gen/log/v1/log_pb.js";
import { until } from "../../support/until.ts";
import { bytes, collect, failing, inEachProtocol, values } from "./rpc-protocols.ts";

const record = (at: number) => ({
  key: bytes(at % 2 === 0 ? `even/${at}` : `odd/${at}`),
  value: bytes(JSON.stringify({ n: at, level: at % 3 === 0 ? "error" : "info" })),
  headers: [{ key: "kind", value: bytes(at % 5 === 0 ? "five" : "other") }],
});
const records = (count: number) => Array.from({ length: count }, (_, at) => record(at));
const offsets = (responses: readonly ConsumeResponse[]): number[] =>
  responses.flatMap(({ record: found }) => (found === undefined ? [] : [Number(found.offset)]));

inEachProtocol("filters", (open) => {
  test("only records that match are sent, with their offsets, and the position at the end", async () => {
    await using served = await open();
    await served.client.produceBatch({ records: records(30) });
    const read = async (filter: string, rest: Parameters<typeof served.client.consumeStream>[0] = {}) =>
      collect(served.client.consumeStream({ ...rest, filter, stopAtEnd: true }));
    const found = await read('json.level == "error" && key.startsWith("even/")');
    assert.deepEqual(offsets(found), [0, 6, 12, 18, 24]);
    assert.equal(values(found)[0], '{"n":0,"level":"error"}');
    const [first, last] = [found[0], found.at(-1)];
    assert.deepEqual([first?.heartbeat, first?.nextOffset, first?.record], [true, 0n, undefined]);
    assert.deepEqual([last?.caughtUp, last?.nextOffset, last?.endOffset], [true, 30n, 30n]);
    assert.deepEqual(offsets(await read('headers.kind == "five"', { offset: 6n })), [10, 15, 20, 25]);
    assert.deepEqual(offsets(await read("json.n > 3", { maxRecords: 2n })), [4, 5]);
    assert.deepEqual(offsets(await read("json.n > 3", { endOffset: 7n })), [4, 5, 6]);
    assert.deepEqual(offsets(await read("json.nothing == 1")), []);
  });

  test("a filter that is not valid is invalid_argument, with the place", async () => {
    await using served = await open();
    const { error, fault } = await failing(() =>
      collect(served.client.consumeStream({ filter: 'key = "a"' })),
    );
    assert.equal(error.code, Code.InvalidArgument);
    assert.deepEqual(fault.facts, { field: "filter", character: 4 });
    const consumed = await failing(() => served.client.consume({ filter: "true" }));
    assert.deepEqual(
      [consumed.error.code, consumed.fault.facts],
      [Code.InvalidArgument, { field: "filter" }],
    );
    const batches = await failing(() => collect(served.client.consumeBatches({ filter: "true" })));
    assert.deepEqual([batches.error.code, batches.fault.facts], [Code.InvalidArgument, { field: "filter" }]);
    await until("all tails are closed", () => served.log.openTails === 0);
  });

  test("a tail says its position every second, also while nothing matches", async () => {
    await using served = await open({ heartbeatMs: 20 });
    const stop = new AbortController();
    const seen: ConsumeResponse[] = [];
    const reading = (async () => {
      const stream = served.client.consumeStream({ filter: 'key == "wanted"' }, { signal: stop.signal });
      for await (const response of stream) seen.push(response);
    })().catch(() => undefined);
    await until("it has begun", () => seen.length > 0);
    await served.client.produceBatch({ records: records(10) });
    await until("the position is passed on", () => seen.at(-1)?.nextOffset === 10n);
    assert.equal(seen.at(-1)?.heartbeat, true, "no marker for each append that does not match");
    await served.client.produce({ record: { key: bytes("wanted"), value: bytes("x") } });
    await until("the record is sent", () => values(seen).includes("x"));
    stop.abort();
    await reading;
  });

  test("a read that has used its time is suspended, and goes on without a gap", async () => {
    await using served = await open({ filterMs: 1 });
    for (let batch = 0; batch < 8; batch++) await served.client.produceBatch({ records: records(5_000) });
    const found: number[] = [];
    let requests = 0;
    for (let offset = 0n; offset < 40_000n; requests++) {
      const responses = await collect(
        served.client.consumeStream({ offset, filter: "json.n == 7.0", stopAtEnd: true }),
      );
      found.push(...offsets(responses));
      const last = responses.at(-1);
      assert.ok(last?.nextOffset !== undefined && last.nextOffset > offset, "it comes forward");
      assert.equal(last.suspended, last.nextOffset < 40_000n);
      offset = last.nextOffset;
    }
    assert.deepEqual(
      found,
      Array.from({ length: 8 }, (_, batch) => batch * 5_000 + 7),
    );
    assert.ok(requests > 1);
  });
});
