import assert from "node:assert/strict";
import { test } from "node:test";
import { pipelined } from "../../../../src/api/methods/pipeline.ts";
import { StreamBudget } from "../../../../src/api/methods/stream-budget.ts";
import { until } from "../../../support/until.ts";

const limits = { totalBytesMax: 1_000_000, streamBytesMax: 100_000, streamBytesMin: 1_000 };
const options = { pendingMax: 4, budget: new StreamBudget(limits), bytesOf: () => 1 };

async function* numbers(upTo: number): AsyncGenerator<number> {
  for (let at = 0; at < upTo; at++) yield at;
}

test("results are yielded in the order of the inputs, however long each takes", async () => {
  const out: number[] = [];
  const work = (n: number) => new Promise<number>((resolve) => setTimeout(() => resolve(n), (7 * n) % 5));
  for await (const n of pipelined(numbers(40), work, options)) out.push(n);
  assert.deepEqual(
    out,
    Array.from({ length: 40 }, (_, at) => at),
  );
});

test("the work in flight is limited by count and by bytes", async () => {
  for (const [bounds, most] of [
    [options, 4],
    [
      {
        pendingMax: 100,
        budget: new StreamBudget({ ...limits, streamBytesMax: 20_000 }),
        bytesOf: () => 10_000,
      },
      2,
    ],
  ] as const) {
    let busy = 0;
    let highest = 0;
    const work = async (n: number) => {
      highest = Math.max(highest, ++busy);
      await new Promise((resolve) => setImmediate(resolve));
      busy--;
      return n;
    };
    for await (const _ of pipelined(numbers(50), work, bounds));
    assert.ok(highest <= most && highest > 1, `${highest} at once`);
  }
});

test("the first failure ends the pipeline after the results before it, and nothing more is started", async () => {
  const started: number[] = [];
  const got: number[] = [];
  const work = async (n: number) => {
    started.push(n);
    if (n === 3) throw new Error("third");
    return n;
  };
  await assert.rejects(async () => {
    for await (const n of pipelined(numbers(1000), work, options)) got.push(n);
  }, /third/);
  assert.deepEqual(got, [0, 1, 2]);
  assert.ok(started.length <= 3 + 1 + options.pendingMax);
});

test("a failure of the input follows the results of the inputs before it", async () => {
  async function* failing(): AsyncGenerator<number> {
    yield 1;
    yield 2;
    throw new Error("input");
  }
  const got: number[] = [];
  await assert.rejects(async () => {
    for await (const n of pipelined(failing(), async (n) => n, options)) got.push(n);
  }, /input/);
  assert.deepEqual(got, [1, 2]);
});

test("a failure is thrown after the work started behind it has settled, and can report its outcomes", async () => {
  const ends: (() => void)[] = [];
  const work = (n: number) =>
    n === 1
      ? Promise.reject(new Error("first"))
      : new Promise<number>((resolve) => {
          if (n === 0) resolve(n);
          else ends.push(() => resolve(n));
        });
  const failure = (reason: unknown, behind: readonly PromiseSettledResult<unknown>[]) =>
    new Error(`${(reason as Error).message}, and ${behind.map(({ status }) => status).join()}`);
  const got: number[] = [];
  const reading = (async () => {
    for await (const n of pipelined(numbers(3), work, { ...options, failure })) got.push(n);
  })();
  await until("the work behind the failure has started", () => ends.length > 0);
  ends[0]?.();
  await assert.rejects(reading, /^Error: first, and fulfilled$/);
  assert.deepEqual(got, [0]);
});

test("an input that cannot be started ends the pipeline, and nothing after it is started", async () => {
  const started: number[] = [];
  const work = (n: number): Promise<number> => {
    if (n === 2) throw new Error("not this one");
    started.push(n);
    return Promise.resolve(n);
  };
  await assert.rejects(async () => {
    for await (const _ of pipelined(numbers(10), work, options));
  }, /not this one/);
  assert.deepEqual(started, [0, 1]);
});
