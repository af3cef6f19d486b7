/** TailLogs over every protocol, on a cluster of one node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { TailLogsResponse } from "../../../src/gen/log/v1/log_pb.js";
import type { ServeOptions } from "../../support/http/serve.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";
import { bytes, inEachProtocol, type OpenRpc, text } from "./rpc-protocols.ts";

async function openNode(open: OpenRpc, options: ServeOptions = {}) {
  const directory = scratchDirectory();
  const node = await openOneNode(directory.path);
  const { log } = node.replica;
  const served = await open({ ...options, log, named: log.named });
  const { client, logs } = served;
  return {
    client,
    logs,
    node,
    served,
    create: async (...names: string[]) => {
      for (const name of names) await logs.createLog({ name });
    },
    append: (name: string, ...values: string[]) =>
      client.produceBatch({ log: name, records: values.map((value) => ({ value: bytes(value) })) }),
    /** The stream with what it has sent so far. */
    tail(request: Parameters<typeof logs.tailLogs>[0], limits: { timeoutMs?: number } = {}) {
      const stop = new AbortController();
      const responses: TailLogsResponse[] = [];
      const done = (async () => {
        for await (const response of logs.tailLogs(request, { signal: stop.signal, ...limits }))
          responses.push(response);
      })().then(
        () => "end",
        (reason: unknown) => {
          const { code, rawMessage } = ConnectError.from(reason);
          return `${Code[code]}: ${rawMessage}`;
        },
      );
      const shown = (): string[] =>
        responses.flatMap(({ log: name, records, deleted }) =>
          deleted ? [`${name} deleted`] : records.map(({ value }) => `${name} ${text(value)}`),
        );
      const has = (count: number) =>
        until(`${count} records, found ${shown()}`, () => shown().length >= count);
      const caughtUp = () => until("it has caught up", () => responses.at(-1)?.caughtUp === true);
      return { responses, done, shown, has, caughtUp, stop: () => stop.abort() };
    },
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

inEachProtocol("tails of several logs", (open) => {
  test("records of several logs come in the order of their appends, with what resumes after them", async () => {
    await using node = await openNode(open);
    await node.create("a/1", "a/2", "b");
    await node.append("a/1", "1", "2", "3");
    await node.append("b", "4");
    await node.append("default", "5");
    await node.append("a/2", "6");
    const tail = node.tail({ prefix: "a/", fromStart: true });
    await tail.has(4);
    assert.deepEqual(tail.shown(), ["a/1 1", "a/1 2", "a/1 3", "a/2 6"]);
    const named = node.tail({ names: ["default", "b"], fromStart: true });
    await named.caughtUp();
    assert.deepEqual(named.shown(), ["b 4", "default 5"]);
    const [one, second] = tail.responses.filter(({ records }) => records.length > 0);
    assert.match(String(one?.logId), /^[1-9]\d*-1$/);
    assert.equal(named.responses.find(({ log }) => log === "default")?.logId, undefined);
    const marker = named.responses.at(-1);
    const endsOf = (response: TailLogsResponse | undefined) =>
      response?.ends.map(({ log, nextOffset }) => `${log} ${nextOffset}`).sort();
    assert.deepEqual(endsOf(marker), ["b 1", "default 1"]);
    await node.append("b", "");
    await until(
      "it has caught up again",
      () => named.responses.filter(({ caughtUp }) => caughtUp).length === 2,
    );
    const [first, , again] = named.responses.filter(({ records }) => records.length === 0);
    assert.deepEqual([endsOf(first), endsOf(again)], [["b 1", "default 1"], ["b 2"]]);
    assert.equal(marker?.resume, `r${one!.logId!.split("-")[0]}.${Number(marker?.endIndex) + 1}.0`);

    const resumed = node.tail({ prefix: "a/", resume: one!.resume });
    await resumed.caughtUp();
    assert.deepEqual(resumed.shown(), ["a/2 6"]);
    const inside = node.tail({ prefix: "a/", resume: one!.resume.replace(/\.3$/, ".1") });
    await inside.caughtUp();
    assert.deepEqual(inside.shown(), ["a/1 2", "a/1 3", "a/2 6"]);
    const last = node.tail({ prefix: "a/", resume: second!.resume });
    await last.caughtUp();
    assert.deepEqual(last.shown(), []);
    await node.create("a/3");
    await node.append("a/3", "7");
    for (const each of [tail, last]) {
      await until("the new log joined", () => each.shown().at(-1) === "a/3 7");
      each.stop();
    }
  });

  test("a log that was named and is deleted is said once, and its successor is another log", async () => {
    await using node = await openNode(open);
    await node.create("a", "b");
    const tail = node.tail({ names: ["a", "b"] });
    await tail.caughtUp();
    await node.append("a", "1");
    await tail.has(1);
    const at = tail.responses.findLast(({ records }) => records.length > 0)!;
    await node.logs.deleteLog({ name: "a" });
    await node.create("a");
    await node.append("a", "2");
    await node.append("b", "3");
    await tail.has(3);
    assert.deepEqual(tail.shown(), ["a 1", "a deleted", "b 3"]);
    const stated = node.tail({ names: ["a", "b"], logIds: [at.logId!, ""], resume: at.resume });
    await stated.has(2);
    assert.deepEqual(stated.shown(), ["a deleted", "b 3"]);
    const refused = node.tail({ names: ["a", "b"], logIds: [at.logId!, ""] });
    assert.match(await refused.done, /^FailedPrecondition/);
    await node.logs.deleteLog({ name: "b" });
    assert.match(await tail.done, /^NotFound: all logs of the tail were deleted/);
    assert.match(await node.tail({ names: ["b"], resume: at.resume }).done, /^NotFound/);
    assert.match(await node.tail({ names: ["a", "none"] }).done, /^NotFound: there is no log "none"/);
  });

  test("a tail of closed logs ends", async () => {
    await using node = await openNode(open);
    await node.create("a", "b");
    await node.append("a", "1");
    const tail = node.tail({ names: ["a", "b"], fromStart: true });
    await node.logs.closeLog({ name: "a" });
    await node.append("b", "2");
    await node.logs.closeLog({ name: "b" });
    assert.equal(await tail.done, "end");
    assert.deepEqual(tail.shown(), ["a 1", "b 2"]);
  });

  test("a tail that waits sends heartbeats with its place and the ends, and has a deadline", async () => {
    await using node = await openNode(open, { heartbeatMs: 20 });
    await node.create("a", "b");
    await node.append("a", "1", "2");
    const tail = node.tail({ names: ["a", "b"], fromStart: true });
    const beats = () => tail.responses.filter(({ heartbeat }) => heartbeat);
    await until("it sends heartbeats", () => beats().length >= 4);
    assert.equal(tail.responses[0]?.heartbeat, true);
    const { endIndex, ends, resume, records } = beats().at(-1)!;
    assert.deepEqual(
      ends.map(({ log, nextOffset }) => [log, nextOffset]),
      [
        ["a", 2n],
        ["b", 0n],
      ],
    );
    assert.ok(resume.endsWith(`.${endIndex + 1n}.0`));
    assert.deepEqual(records, []);
    assert.equal(tail.responses.filter(({ caughtUp }) => caughtUp).length, 1);
    tail.stop();
    const limited = node.tail({ names: ["a"] }, { timeoutMs: 300 });
    assert.match(await limited.done, /^DeadlineExceeded/);
  });

  test("tokens that are wrong, of another life or not kept, and unclear requests, are refused", async () => {
    await using node = await openNode(open);
    await node.create("a");
    await node.append("a", "1");
    const first = node.tail({ prefix: "", fromStart: true });
    await first.caughtUp();
    const [, life, index] = /^r(\d+)\.(\d+)\./.exec(first.responses.at(-1)!.resume)!;
    first.stop();
    const refusals: readonly (readonly [object, RegExp])[] = [
      [{ prefix: "a", resume: "7" }, /^InvalidArgument: resume must be a token/],
      [{ prefix: "a", resume: `r${life}.0.0` }, /^InvalidArgument/],
      [{ prefix: "a", resume: `r${(Number(life) ^ 1) >>> 0}.1.0` }, /^FailedPrecondition: .* another life/],
      [{ prefix: "a", resume: `r${life}.${Number(index) + 1}.0` }, /^OutOfRange/],
      [{ prefix: "a", resume: `r${life}.9007199254740991.0` }, /^OutOfRange/],
      [{}, /^InvalidArgument: names or a prefix/],
      [{ prefix: "a*" }, /^InvalidArgument/],
      [{ names: ["a"], prefix: "a" }, /^InvalidArgument/],
      [{ names: ["a"], logIds: ["x"] }, /^InvalidArgument: log_ids/],
      [{ names: ["a"], logIds: [`${(Number(life) ^ 1) >>> 0}-1`] }, /^FailedPrecondition/],
    ];
    for (const [request, expected] of refusals)
      assert.match(await node.tail(request).done, expected, JSON.stringify(request));
    const beyond = node.tail({ prefix: "a", resume: `r${life}.1.9007199254740991` });
    await beyond.caughtUp();
    assert.deepEqual(beyond.shown(), ["a 1"]);
    beyond.stop();
  });
});
