import assert from "node:assert/strict";
import { test } from "node:test";
import type { TailedRecord, TailLogsOptions, TailPosition } from "../../../../src/client/public-api.ts";
import { Fault } from "../../../../src/fault.ts";
import { until } from "../../../support/until.ts";
import { FakeCluster, type FakeNode, type TailLogsInit } from "../fake-cluster.ts";

const beat = (index: number, ends: readonly (readonly [string, number])[] = []): TailLogsInit => ({
  heartbeat: true,
  resume: `r7.${index}.0`,
  ends: ends.map(([log, next]) => ({ log, nextOffset: BigInt(next) })),
});

const record = (index: number, text: string): TailLogsInit => ({
  log: "a",
  logId: "7-1",
  records: [{ value: Buffer.from(text), offset: BigInt(index) }],
  resume: `r7.${index}.1`,
});

const never = (): Promise<void> => new Promise(() => undefined);

/** A cluster of three nodes with a log "a". `serve` is a stream of TailLogs. */
function openCluster(serve: (node: FakeNode, resume: string) => AsyncGenerator<TailLogsInit>) {
  const cluster = new FakeCluster("a:1", "b:1", "c:1");
  const log = cluster.logs.create("a");
  const asked: string[] = [];
  cluster.onTailLogs = (node, { resume }) => {
    asked.push(node.addr);
    return serve(node, resume);
  };
  return { cluster, log, asked };
}

/** Reads in the background. */
function follow(cluster: FakeCluster, options: TailLogsOptions) {
  const client = cluster.client();
  const stop = new AbortController();
  const seen: string[] = [];
  const positions: TailPosition[] = [];
  const reading = { ...options, signal: stop.signal, onPosition: (at: TailPosition) => positions.push(at) };
  const done = (async () => {
    for await (const { value } of client.logs.tail(reading) as AsyncIterable<TailedRecord>)
      seen.push(Buffer.from(value).toString());
  })().then(
    () => "end",
    (reason: unknown) => Fault.from(reason).kind,
  );
  const close = (): void => {
    stop.abort(new Fault("canceled"));
    client[Symbol.dispose]();
  };
  return { seen, positions, done, close };
}

test("a node that ends the stream of open logs is left for another one, which goes on at the token", async () => {
  for (const options of [{ prefix: "a" }, { names: ["a"] }]) {
    const { cluster, asked } = openCluster(async function* (node, resume) {
      yield beat(5);
      if (node.addr !== "a:1") return;
      assert.ok(resume === "" || resume === "r7.5.0", resume);
      yield record(6, "1");
      await never();
    });
    const tail = follow(cluster, options);
    await until("the record has arrived", () => tail.seen.length === 1);
    assert.deepEqual(asked.toSorted(), [...new Set(asked)].toSorted(), `${asked} are different nodes`);
    tail.close();
    await tail.done;
  }
});

test("nodes that end every stream after a marker end the tail after its time: markers are no progress", async () => {
  let index = 5;
  const { cluster } = openCluster(async function* () {
    yield beat(index++);
  });
  const client = cluster.client({ limits: { resumeMs: 50 } });
  const reading = client.logs.tail({ prefix: "a" }).next();
  await assert.rejects(reading, { kind: "unavailable" });
  client[Symbol.dispose]();
});

test("a tail of closed logs ends once it has read all of them: a stream that ended early is resumed", async () => {
  const { cluster, log, asked } = openCluster(async function* (_, resume) {
    yield beat(3);
    if (resume === "") return;
    yield record(4, "1");
    yield { ...beat(6), heartbeat: false, caughtUp: true };
  });
  log.isClosed = true;
  const { info } = log;
  log.info = async () => ({ ...(await info.call(log)), version: 5n });
  const tail = follow(cluster, { names: ["a"] });
  assert.equal(await tail.done, "end");
  assert.deepEqual([tail.seen, asked.length], [["1"], 2]);
  tail.close();
});

test("a position has the ends of all logs that were named, also if the node sends few of them", async () => {
  const { cluster } = openCluster(async function* () {
    yield beat(3, [
      ["a", 1],
      ["b", 2],
    ]);
    yield { ...beat(4, [["b", 3]]), heartbeat: false, caughtUp: true };
    yield { log: "a", logId: "7-1", deleted: true };
    yield beat(5);
    await never();
  });
  cluster.logs.create("b");
  const tail = follow(cluster, { names: ["a", "b"] });
  await until("all positions have arrived", () => tail.positions.length === 3);
  assert.deepEqual(
    tail.positions.map(({ ends }) => ends.map(({ log, next }) => `${log} ${next}`)),
    [["a 1", "b 2"], ["a 1", "b 3"], ["b 3"]],
  );
  tail.close();
  await tail.done;
});
