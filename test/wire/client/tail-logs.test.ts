/** Tails of several logs with the client library, on one node. The command line: tail-command.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openClient, type TailedRecord, type TailLogsOptions } from "../../../src/client/mod.ts";
import { Fault } from "../../../src/fault.ts";
import { serveNode } from "../../support/http/serve-node.ts";
import { until } from "../../support/until.ts";

const text = ({ log, value }: TailedRecord): string => `${log} ${Buffer.from(value).toString()}`;

async function openLogs(...names: string[]) {
  const node = await serveNode({ heartbeatMs: 50 });
  const client = openClient({ addr: node.url.slice("http://".length) });
  for (const name of names) await client.logs.create(name);
  return {
    node,
    client,
    /** Reads in the background. */
    tail(options: TailLogsOptions) {
      const seen: TailedRecord[] = [];
      const done = (async () => {
        for await (const record of client.logs.tail(options)) seen.push(record);
      })().then(
        () => "end",
        (reason: unknown) => Fault.from(reason).kind,
      );
      return { seen, done, texts: () => seen.map(text) };
    },
    async send(name: string, value: string) {
      await client.log(name).producer().send(value);
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
    },
  };
}

test("a tail yields records of several logs in order, and each record can be resumed at", async () => {
  await using logs = await openLogs("a/1", "a/2", "b");
  const stop = new AbortController();
  const tail = logs.tail({ prefix: "a/", resume: "start", signal: stop.signal });
  for (const [name, value] of [
    ["a/1", "1"],
    ["b", "2"],
    ["a/2", "3"],
    ["a/1", "4"],
  ] as const)
    await logs.send(name, value);
  await until("all has arrived", () => tail.seen.length === 3);
  assert.deepEqual(tail.texts(), ["a/1 1", "a/2 3", "a/1 4"]);
  assert.deepEqual(
    tail.seen.map(({ offset }) => offset),
    [0, 0, 1],
  );
  for (const [n, { resume }] of tail.seen.entries()) {
    const rest = logs.tail({ prefix: "a/", resume, signal: stop.signal });
    await until("the rest has arrived", () => rest.seen.length === 2 - n);
    assert.deepEqual(rest.texts(), tail.texts().slice(n + 1));
  }
  stop.abort(new Fault("canceled"));
  assert.equal(await tail.done, "canceled");
});

test("each record of a batch has a token of its own", async () => {
  await using logs = await openLogs("a");
  const values = ["1", "2", "3"].map((value) => ({ value: Buffer.from(value) }));
  await logs.client.rpc.log.produceBatch({ log: "a", records: values });
  const tail = logs.tail({ names: ["a", "default"], from: "start" });
  await until("all has arrived", () => tail.seen.length === 3);
  const rest = logs.tail({ names: ["a", "default"], from: tail.seen[0]!.resume });
  await until("the rest has arrived", () => rest.seen.length === 2);
  assert.deepEqual(rest.texts(), ["a 2", "a 3"]);
  assert.deepEqual(
    tail.seen.map(({ resume }) => /\.(\d+)$/.exec(resume)?.[1]),
    ["1", "2", "3"],
  );
});

test("a deleted log is reported, and the tail ends when none is left or all are closed", async () => {
  await using logs = await openLogs("a", "b", "c");
  const deleted: string[] = [];
  let caughtUp = false;
  const onPosition = (position: { readonly caughtUp: boolean }): void => {
    caughtUp ||= position.caughtUp;
  };
  const tail = logs.tail({ names: ["a", "b"], onDeleted: ({ log }) => deleted.push(log), onPosition });
  await until("it has caught up", () => caughtUp);
  await logs.client.logs.delete("a");
  await logs.client.logs.create("a");
  await logs.send("a", "of another log");
  await logs.send("b", "1");
  await until("b goes on", () => tail.seen.length === 1);
  assert.deepEqual([tail.texts(), deleted], [["b 1"], ["a"]]);
  await logs.client.logs.delete("b");
  assert.equal(await tail.done, "not-found");
  assert.deepEqual(deleted, ["a", "b"]);
  const closing = logs.tail({ names: ["c"], resume: "start" });
  await logs.send("c", "1");
  await logs.client.logs.close("c");
  assert.equal(await closing.done, "end");
  assert.deepEqual(closing.texts(), ["c 1"]);
});

test("invalid options, unknown logs and tokens that are not valid are refused", async () => {
  await using logs = await openLogs("a");
  const refused: readonly (readonly [TailLogsOptions, string])[] = [
    [{}, "bad-request"],
    [{ names: [] }, "bad-request"],
    [{ names: ["a"], prefix: "a" }, "bad-request"],
    [{ names: ["a"], resume: "" }, "bad-request"],
    [{ names: ["a"], resume: "12" }, "bad-request"],
    [{ names: ["a"], from: { offset: 3 } } as unknown as TailLogsOptions, "bad-request"],
    [{ names: ["a"], from: "start", resume: "start" }, "bad-request"],
    [{ names: ["a"], start: "end" } as TailLogsOptions, "bad-request"],
    [{ names: ["a", "none"] }, "not-found"],
    [{ names: [{ name: "a", id: "1-1" }] }, "failed-precondition"],
    [{ prefix: "a", resume: "r1.1.0" }, "failed-precondition"],
  ];
  for (const [options, kind] of refused)
    assert.equal(await logs.tail(options).done, kind, JSON.stringify(options));
});
