import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import type { TailraceClient } from "../../../../src/client/client.ts";
import { defaultLimits } from "../../../../src/client/limits.ts";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import type { Offset, Tail } from "../../../../src/types.ts";
import { run, valuesOf } from "../../../support/log/logs.ts";
import { until } from "../../../support/until.ts";
import { FakeCluster } from "../fake-cluster.ts";

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `${from + n}`);
const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean =>
    reason instanceof Fault && reason.kind === kind && reason.written === "no";

/** Reads a tail up to `until`, and checks at each step that no record is duplicated or missing. */
async function readTo(tail: Tail, until: Offset): Promise<string[]> {
  const values: string[] = [];
  while (tail.position < until) {
    const { position } = tail;
    const slice = tail.take();
    if (slice === undefined) {
      assert.equal(await tail.ready(), true);
      continue;
    }
    assert.ok(slice.firstOffset <= position && slice.nextOffset > position);
    values.push(...valuesOf(slice, position));
  }
  return values;
}

/** `count` records with their offsets as values, in batches of one to three. */
async function fill(cluster: FakeCluster, count: number): Promise<void> {
  const chance = prng("fill");
  let { next } = await cluster.log.bounds();
  for (const end = next + count; next < end; ) {
    const size = Math.min(chance.between(1, 3), end - next);
    await cluster.log.append(run(...numbers(next, next + size)));
    next += size;
  }
}

const threeNodes = (): FakeCluster => new FakeCluster("a:1", "b:1", "c:1");
const turns = async (count = 20): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};
const openStreams = (cluster: FakeCluster): number =>
  cluster.nodes.reduce((sum, node) => sum + node.openStreams, 0);

test("a tail whose streams keep breaking continues on other nodes without gap or duplicate", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const chance = prng(`cuts ${seed}`);
    const cluster = threeNodes();
    await using client = cluster.client();
    await fill(cluster, 60);
    const from = chance.between(0, 20);
    using tail = client.commitLog.follow(from);
    const reading = readTo(tail, 120);
    for (let n = 0; n < 20; n++) {
      for (const node of cluster.nodes) {
        node.cutAfter = chance.between(1, 6);
        node.isDown = chance.chance(0.3);
      }
      await fill(cluster, 3);
      await turns(chance.between(0, 6));
    }
    for (const node of cluster.nodes) node.isDown = false;
    assert.deepEqual(await reading, numbers(from, 120), `seed ${seed}`);
  }
});

test("a tail can start in the middle of a batch, and its position says where", async () => {
  const cluster = threeNodes();
  await cluster.log.append(run("0", "1", "2"));
  await using client = cluster.client();
  using tail = client.commitLog.follow(1);
  assert.equal(await tail.ready(), true);
  const slice = tail.take()!;
  assert.deepEqual([slice.firstOffset, slice.nextOffset, tail.position], [0, 3, 3]);
  assert.deepEqual(valuesOf(slice, 1), ["1", "2"]);
});

test("the bytes that a tail reads ahead are limited", async () => {
  const cluster = new FakeCluster("a:1");
  const value = "x".repeat(1_000);
  for (let n = 0; n < 200; n++) await cluster.log.append(run(value));
  await using client = cluster.client({ limits: { tailBytesMax: 10_000 } });
  using tail = client.commitLog.follow(0);
  await tail.ready();
  await turns(100);
  const ahead = cluster.nodes[0]!.batchesSent;
  assert.ok(ahead >= 10 && ahead < 60, `${ahead} batches were sent to a reader that took none`);
  assert.equal((await readTo(tail, 200)).length, 200);
});

test("a tail at the end of the log makes one request and waits", async () => {
  const cluster = threeNodes();
  await using client = cluster.client();
  using tail = client.commitLog.follow(0);
  const ready = tail.ready();
  await turns(200);
  assert.equal(
    cluster.nodes.flatMap(({ calls }) => calls).filter((rpc) => rpc === "consumeBatches").length,
    1,
  );
  await cluster.log.append(run("0"));
  assert.equal(await ready, true);
});

test("a disposed tail frees the node's stream at once", async () => {
  const cluster = threeNodes();
  await using client = cluster.client();
  const tails = [0, 0, 0].map((from) => client.commitLog.follow(from));
  const waiting = tails.map((tail) => tail.ready());
  await turns();
  assert.equal(openStreams(cluster), 3);
  for (const tail of tails) tail[Symbol.dispose]();
  assert.deepEqual(await Promise.all(waiting), [false, false, false]);
  await turns();
  assert.equal(openStreams(cluster), 0);
  assert.equal(cluster.log.openTails, 0);
});

test("a tail returns what arrived before a trim and then fails as out of range", async () => {
  const cluster = new FakeCluster("a:1");
  await fill(cluster, 10);
  await using client = cluster.client();
  using tail = client.commitLog.follow(0);
  await tail.ready();
  await turns();
  cluster.nodes[0]!.cutAfter = 0;
  await fill(cluster, 20);
  await cluster.log.trim(25);
  assert.deepEqual(await readTo(tail, 10), numbers(0, 10));
  await assert.rejects(readTo(tail, 30), isFault("out-of-range"));
  assert.throws(() => tail.take(), isFault("out-of-range"), "and stays so");
});

test("out of range from a node that lags behind the session does not end a tail", async () => {
  const cluster = threeNodes();
  await using client = cluster.client();
  const { firstOffset } = await client.commitLog.append(run("0", "1", "2", "3"));
  for (const addr of ["b:1", "c:1"]) cluster.node(addr).lag = 3;
  using tail = client.commitLog.follow(firstOffset + 3);
  assert.deepEqual(await readTo(tail, 4), ["3"]);
  using beyond = client.commitLog.follow(9);
  await assert.rejects(readTo(beyond, 10), isFault("out-of-range"));
});

test("a damaged batch is requested from another node, and the tail fails as corrupt if all batches are damaged", async () => {
  const cluster = threeNodes();
  await fill(cluster, 12);
  await using client = cluster.client();
  cluster.node("b:1").isDamaged = true;
  using tail = client.commitLog.follow(0);
  assert.deepEqual(await readTo(tail, 12), numbers(0, 12));
  for (const node of cluster.nodes) node.isDamaged = true;
  using other = client.commitLog.follow(0);
  await assert.rejects(readTo(other, 12), isFault("corrupt"));
});

test("a tail without a reachable node keeps trying for resumeMs", async () => {
  const cluster = threeNodes();
  await fill(cluster, 3);
  await using client = cluster.client({ limits: { resumeMs: 100 } });
  using tail = client.commitLog.follow(0);
  assert.deepEqual(await readTo(tail, 3), numbers(0, 3));
  for (const node of cluster.nodes) node.isDown = true;
  cluster.log.append(run("3")); // the open stream breaks when it sends this record
  await assert.rejects(readTo(tail, 4), isFault("unavailable"));
});

for (const discover of [true, false]) {
  test(`a tail whose nodes were reached once waits for them to come back, discover ${discover}`, async () => {
    const cluster = threeNodes();
    for (const node of cluster.nodes) node.cutCode = Code.Canceled; // like a connection that is lost
    await using client = cluster.client({
      seeds: ["a:1", "b:1", "c:1"],
      discover,
      limits: { firstContactMs: 20 },
    });
    using tail = client.commitLog.follow(0);
    const ready = tail.ready();
    await until("a stream is open", () => openStreams(cluster) === 1);
    for (const node of cluster.nodes) node.isDown = true;
    await fill(cluster, 1); // the open stream breaks when it sends this record
    const refusedFrom = cluster.refused;
    const sinceMs = performance.now();
    await until(
      "the nodes have refused connections for longer than the timeout of the first contact",
      () => cluster.refused > refusedFrom + 6 && performance.now() - sinceMs > 60,
    );
    for (const node of cluster.nodes) node.isDown = false;
    assert.equal(await ready, true);
    assert.deepEqual(await readTo(tail, 1), ["0"]);
  });
}

test("a tail with an idle limit repeats its request when nothing arrives", async () => {
  const cluster = threeNodes();
  await fill(cluster, 3);
  await using client = cluster.client({ limits: { tailIdleMs: 20 } });
  using tail = client.commitLog.follow(0);
  assert.deepEqual(await readTo(tail, 3), numbers(0, 3));
  const ready = tail.ready();
  await until("the tail has repeated its request twice", () => streams(cluster) >= 3);
  await fill(cluster, 1);
  assert.equal(await ready, true);
  assert.deepEqual(await readTo(tail, 4), ["3"]);
});

test("a tail leaves a node that is alive and receives no records", async () => {
  const cluster = threeNodes();
  await fill(cluster, 3);
  for (const addr of ["b:1", "c:1"]) cluster.node(addr).isMute = true; // only the leader sends
  await using client = cluster.client({ limits: { tailIdleMs: 20 } });
  using tail = client.commitLog.follow(0);
  assert.deepEqual(await readTo(tail, 3), numbers(0, 3));
});

test("a tail has an idle limit by default", () => {
  assert.equal(defaultLimits.tailIdleMs, 60_000);
});

test("out of range from a node that lags behind what has been read ahead does not end a tail", async () => {
  const cluster = threeNodes();
  await fill(cluster, 12);
  await using client = cluster.client();
  using tail = client.commitLog.follow(0);
  await tail.ready();
  await turns();
  for (const node of cluster.nodes) node.lag = 3;
  for (const node of cluster.nodes) node.cutAfter = 0;
  await fill(cluster, 1); // the open stream breaks when it sends this record
  await turns();
  for (const node of cluster.nodes) node.cutAfter = Number.POSITIVE_INFINITY;
  await until("the tail has asked a node that lags", () => streams(cluster) >= 3);
  for (const node of cluster.nodes) node.lag = 0;
  assert.deepEqual(await readTo(tail, 13), numbers(0, 13));
});

const streams = (cluster: FakeCluster): number =>
  cluster.nodes.flatMap(({ calls }) => calls).filter((rpc) => rpc === "consumeBatches").length;

async function take(client: TailraceClient, count: number, signal?: AbortSignal): Promise<string[]> {
  const values: string[] = [];
  const options = { from: { offset: 0 }, ...(signal === undefined ? {} : { signal }) };
  for await (const { value } of client.consume(options)) {
    values.push(Buffer.from(value).toString());
    if (values.length < count) continue;
    await turns(); // all records have been read ahead, and the stream waits
    break;
  }
  return values;
}

test("consume frees its stream when the reader leaves the loop", async () => {
  const cluster = threeNodes();
  await fill(cluster, 9);
  await using client = cluster.client();
  assert.deepEqual(await take(client, 4), numbers(0, 4));
  await turns();
  assert.equal(openStreams(cluster), 0);
});

test("consume stops before an offset, at the end of the log at the start, or on a signal", async () => {
  const cluster = threeNodes();
  await fill(cluster, 9);
  await using client = cluster.client();
  const offsets = async (options: Parameters<typeof client.consume>[0]): Promise<number[]> => {
    const found: number[] = [];
    for await (const { offset } of client.consume(options)) found.push(offset);
    return found;
  };
  assert.deepEqual(await offsets({ from: { offset: 2 }, until: 5 }), [2, 3, 4]);
  assert.deepEqual(await offsets({ from: { last: 2 }, until: "end" }), [7, 8]);
  assert.deepEqual(await offsets({ until: "end" }), []);
  assert.deepEqual(await offsets({ from: { offset: 9 }, until: "end" }), []);
  await assert.rejects(offsets({ from: { offset: 10 }, until: "end" }), isFault("out-of-range"));
  const stop = new AbortController();
  const taking = take(client, 100, stop.signal);
  await turns();
  stop.abort();
  await assert.rejects(taking, (thrown) => thrown === stop.signal.reason);
});
