/** Reads with a filter in the client library and on the command line, against nodes that suspend them all the time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import { type FilterPosition, openClient } from "../../../src/client/mod.ts";
import { Fault } from "../../../src/fault.ts";
import { encodeRun } from "../../../src/log/mod.ts";
import type { CommitLog } from "../../../src/types.ts";
import { serve } from "../../support/http/serve.ts";
import { serveNode } from "../../support/http/serve-node.ts";
import { tailrace } from "../../support/process/process.ts";
import { until } from "../../support/until.ts";

const fill = async (log: Pick<CommitLog, "append">, count: number): Promise<void> => {
  for (let from = 0; from < count; from += 5_000) {
    const values = Array.from({ length: Math.min(5_000, count - from) }, (_, at) => from + at);
    await log.append(encodeRun(values.map((n) => ({ value: Buffer.from(`{"n":${n % 1_000}}`) }))));
  }
};
const every = (count: number, first: number): number[] =>
  Array.from({ length: count / 1_000 }, (_, at) => at * 1_000 + first);

test("a read with a filter goes on by itself when it is suspended, up to the end", async () => {
  for (const fastPath of [createFastPath, undefined]) {
    await using served = await serve({ filterMs: 4, fastPath });
    await fill(served.log, 20_000);
    await using client = openClient({ addr: `127.0.0.1:${served.port}` });
    const found: number[] = [];
    const positions: FilterPosition[] = [];
    const onPosition = (position: FilterPosition): void => void positions.push(position);
    const options = { from: "start", until: "end", filter: "json.n == 7.0", onPosition } as const;
    for await (const { offset } of client.consume(options)) found.push(offset);
    assert.deepEqual(found, every(20_000, 7));
    assert.deepEqual(positions.at(-1), { next: 20_000, end: 20_000, skipped: 0 });
    const places = positions.map(({ next }) => next);
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
      "it never goes back",
    );
    assert.ok(positions.length > 4, "several requests");
    await until("all tails are closed", () => served.log.openTails === 0);
  }
});

test("a read with a filter waits for new records, ends with its signal, and reports what is wrong", async () => {
  await using served = await serve({ heartbeatMs: 20 });
  await using client = openClient({ addr: `127.0.0.1:${served.port}` });
  const stop = new AbortController();
  const found: string[] = [];
  const reading = (async () => {
    for await (const { value } of client.consume({
      from: "start",
      filter: 'text == "b"',
      signal: stop.signal,
    }))
      found.push(Buffer.from(value).toString());
  })();
  for (const value of ["a", "b", "c", "b"])
    await served.log.append(encodeRun([{ value: Buffer.from(value) }]));
  await until("both are found", () => found.length === 2);
  stop.abort(new Error("enough"));
  await assert.rejects(reading, /enough/);
  const failing = async (options: Parameters<typeof client.consume>[0]): Promise<Fault> => {
    try {
      for await (const _ of client.consume(options));
    } catch (reason) {
      return Fault.from(reason);
    }
    throw new Error("it ends");
  };
  assert.deepEqual((await failing({ filter: "key = 1" })).facts, { field: "filter", character: 4 });
  assert.equal((await failing({ filter: "" })).kind, "bad-request");
  assert.equal((await failing({ from: 99, filter: "true" })).kind, "out-of-range");
  assert.equal((await failing({ onPosition: () => undefined })).kind, "bad-request");
  await until("all tails are closed", () => served.log.openTails === 0);
});

test("a tail of several logs with a filter goes on when it is suspended", async () => {
  await using node = await serveNode({ heartbeatMs: 50, filterMs: 1 });
  await using client = openClient({ addr: node.url.slice("http://".length) });
  for (const name of ["a/1", "a/2"]) await client.logs.create(name);
  for (const name of ["a/1", "a/2"]) await fill(client.log(name), 10_000);
  const stop = new AbortController();
  const found: string[] = [];
  const tail = client.logs.tail({
    prefix: "a/",
    from: "start",
    filter: "json.n == 9.0",
    signal: stop.signal,
  });
  for await (const { log, offset } of tail) {
    found.push(`${log} ${offset}`);
    if (found.length === 20) break;
  }
  assert.deepEqual(
    found,
    ["a/1", "a/2"].flatMap((name) => every(10_000, 9).map((offset) => `${name} ${offset}`)),
  );
});

test("consume --filter prints what matches, and refuses what is not valid", async () => {
  await using served = await serve({ filterMs: 1, fastPath: createFastPath });
  await fill(served.log, 6_000);
  const run = (...args: string[]) => tailrace([...args, "--addr", `127.0.0.1:${served.port}`]);
  const all = await run("consume", "--filter", "json.n == 7.0", "--format", "%o\\n");
  assert.deepEqual(
    [all.status, all.err, all.out],
    [
      0,
      "",
      every(6_000, 7)
        .map((at) => `${at}\n`)
        .join(""),
    ],
  );
  const some = await run(
    "consume",
    "--filter",
    "json.n == 7.0",
    "--format",
    "%o\\n",
    "--count",
    "2",
    "--from",
    "8",
  );
  assert.deepEqual([some.status, some.out], [0, "1007\n2007\n"]);
  const wrong = await run("consume", "--filter", "json.n = 7");
  assert.equal(wrong.status, 1);
  assert.match(wrong.err, /the filter is not valid at character 7: found = but/);
});
