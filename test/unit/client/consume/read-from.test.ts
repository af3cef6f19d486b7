/** The values of the option `from`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ReadFrom, readStartOf } from "../../../../src/client/consume/read-from.ts";
import { FakeCluster } from "../fake-cluster.ts";

test("start, end, offsets, dates and the objects of ReadStart are accepted", () => {
  assert.deepEqual(readStartOf("start"), { fromTimeMs: 0 });
  assert.deepEqual(readStartOf("end"), { end: true });
  assert.deepEqual(readStartOf(5), { offset: 5 });
  assert.deepEqual(readStartOf(5n), { offset: 5 });
  assert.deepEqual(readStartOf(new Date(7)), { fromTimeMs: 7 });
  assert.deepEqual(readStartOf({ last: 3 }), { last: 3 });
  assert.deepEqual(readStartOf({ fromTimeMs: 1.5 }), { fromTimeMs: 1.5 });
});

test("every other start is rejected", () => {
  const others: readonly unknown[] = [
    "begin",
    "5",
    -1,
    1.5,
    Number.NaN,
    2 ** 53,
    null,
    true,
    [],
    {},
    () => 1,
    new Date("none"),
    { offset: "5" },
    { last: -1 },
    { fromTimeMs: "now" },
    { end: false },
    { from: 5 },
  ];
  for (const from of others) {
    assert.throws(() => readStartOf(from as ReadFrom), { kind: "bad-request", written: "no" }, String(from));
  }
});

test("consume reads from there, and rejects an invalid start, end, mode or window", async () => {
  const cluster = new FakeCluster("a:1");
  await using client = cluster.client();
  const producer = client.producer();
  await Promise.all(["0", "1", "2"].map((value) => producer.send(value)));
  const offsets = async (options: object): Promise<number[]> => {
    const found: number[] = [];
    for await (const { offset } of client.consume({ until: "end", ...options })) found.push(offset);
    return found;
  };
  assert.deepEqual(await offsets({ from: 1 }), [1, 2]);
  assert.deepEqual(await offsets({ from: "start", until: 2 }), [0, 1]);
  assert.deepEqual(await offsets({ from: "end" }), []);
  for (const options of [{ from: "5" }, { until: "start" }, { until: -1 }, { until: 1.5 }]) {
    await assert.rejects(offsets(options), { kind: "bad-request" }, JSON.stringify(options));
  }
  await assert.rejects(client.commitLog.seek("middle" as never), { kind: "bad-request" });
  await assert.rejects(client.commitLog.read(0, { mode: "newest" as never }), { kind: "bad-request" });
  await assert.rejects(client.commitLog.append(undefined as never), { kind: "bad-request" });
  await assert.rejects(client.produceStream([], { window: 0 }).next(), { kind: "bad-request" });
  // These options are valid. The fake cluster does not implement streams of requests.
  await assert.rejects(client.produceStream([], null as never).next(), { kind: "unimplemented" });
  await assert.rejects(client.produceStream([], { signal: 5 as never }).next(), { kind: "bad-request" });
  assert.throws(() => client.producer({ id: 5 as never }), { kind: "config" });
  assert.throws(() => client.producer({ lingerMs: "5" as never }), { kind: "config" });
  assert.throws(() => client.producer({ epoch: 1.5 }), { kind: "config" });
});
