import assert from "node:assert/strict";
import { test } from "node:test";
import { Traffic } from "../../../../src/api/calls/traffic.ts";
import { TrafficHistory } from "../../../../src/api/calls/traffic-history.ts";
import type { ClusterChange } from "../../../../src/api/cluster-view.ts";
import { watch } from "../../../../src/api/methods/watch.ts";
import { encodeRun } from "../../../../src/log/mod.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";
import { singleView } from "../../../support/peer/single-view.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

function open(intervalMs = 1000, pastMs = 0) {
  const log = new MemoryLog();
  const time = new VirtualTime();
  const traffic = new Traffic();
  const listeners = new Set<(change: ClusterChange) => void>();
  const cluster = {
    ...singleView({
      extent: () => ({ next: log.next, index: 1 }),
      nodeId: "test",
      clusterId: "c",
      rpcAddr: "a:1",
      version: "1",
    }),
    onChange: (listener: (change: ClusterChange) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const controller = new AbortController();
  const clock = time.clock();
  // A time of its own: it goes on for ever.
  const past = new VirtualTime();
  const history = new TrafficHistory(traffic, past.clock());
  const options = { log, cluster, clock, traffic, history, clusterVersion: "1" };
  const events = watch(options, { intervalMs, pastMs }, controller.signal);
  const next = async () => (await events.next()).value?.event;
  return { log, time, traffic, past, history, listeners, controller, events, next };
}

test("a watch begins with the cluster and the segments, then reports throughput at every interval", async () => {
  const { log, time, traffic, next } = open();
  assert.deepEqual([(await next())?.case, (await next())?.case], ["cluster", "segments"]);
  const interval = next();
  await new Promise(setImmediate);
  await log.append(encodeRun([{}, {}]));
  traffic.appended(2, 10, 5);
  assert.ok(time.step());
  const event = await interval;
  assert.equal(event?.case, "throughput");
  const { intervalMs, recordsIn, nextOffset } = event.value;
  assert.deepEqual([intervalMs, recordsIn, nextOffset], [1000, 2n, 2n]);
  assert.equal((await next())?.case, "cluster");
});

test("an abort ends a watch with its fault and its subscription to the cluster", async () => {
  const { controller, listeners, next } = open();
  await next();
  await next();
  assert.equal(listeners.size, 1);
  const waiting = next();
  await new Promise(setImmediate);
  controller.abort();
  await assert.rejects(waiting, { kind: "canceled" });
  assert.equal(listeners.size, 0);
});

test("an interval below 100 ms is a bad request", async () => {
  await assert.rejects(open(99).next(), { kind: "bad-request", facts: { field: "interval_ms" } });
});

test("a watch that asks for the past begins with what was counted before it", async () => {
  const { history, next, past, traffic } = open(1000, 3_000);
  for (let second = 1; second <= 700; second++) {
    traffic.appended(second, 10, 5);
    assert.ok(past.step());
  }
  assert.equal((await next())?.case, "cluster");
  const event = await next();
  assert.equal(event?.case, "history");
  const { intervals = [] } = event.value;
  assert.deepEqual(
    intervals.map(({ intervalMs, recordsIn, bytesIn }) => [intervalMs, recordsIn, bytesIn]),
    [698n, 699n, 700n].map((records) => [1000, records, 10n]),
  );
  assert.equal((await next())?.case, "segments");
  assert.equal(history.last(10_000_000).length, 600);
  history.stop();
  assert.equal(past.step(), false);
  assert.equal(history.last(10_000_000).length, 600);
});
