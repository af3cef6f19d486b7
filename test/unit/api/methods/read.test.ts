import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import {
  followSlices,
  openRead,
  type ReadEvent,
  type ReadPlan,
  readSlices,
} from "../../../../src/api/methods/read.ts";
import { ReadHold } from "../../../../src/api/methods/read-admission.ts";
import { noLimits } from "../../../../src/api/methods/read-limit.ts";
import type { Pacer } from "../../../../src/api/methods/tails/pacer.ts";
import type { Clock } from "../../../../src/lib/time/clock.ts";
import { MemoryBudget } from "../../../../src/memory/memory-budget.ts";
import { run } from "../../../support/log/logs.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

/** A log with three records, and a reader of it. */
async function open(plan: Partial<ReadPlan> = {}, heartbeatMs?: number) {
  const log = new MemoryLog();
  for (const value of ["a", "b", "c"]) await log.append(run(value));
  const time = new VirtualTime();
  const clock = time.clock();
  const controller = new AbortController();
  const { signal } = controller;
  const memory = new MemoryBudget({ limit: 2 ** 20, clock });
  const sink = { writableBytes: 1_000, whenWritable: () => undefined };
  const hold = new ReadHold(memory, { keeps: true, cut: () => undefined });
  const read = await openRead(
    log,
    { start: { offset: 0 }, limits: noLimits, stopAtEnd: false, freshness: {}, ...plan },
    signal,
  );
  const options = { clock, signal, heartbeatMs, sink, memory, hold };
  const listeners = (): number => getEventListeners(signal, "abort").length;
  return { log, time, controller, memory, sink, read, options, listeners };
}

const nameOf = (event: ReadEvent): string =>
  typeof event === "string" ? event : `${event.firstOffset}-${event.nextOffset}`;

async function eventsOf(reader: AsyncGenerator<ReadEvent>, count: number): Promise<string[]> {
  const events: string[] = [];
  while (events.length < count) {
    const { value, done } = await reader.next();
    if (done === true) return [...events, "end"];
    events.push(nameOf(value));
  }
  return events;
}

test("a read to the end of the log catches up once and ends there, even if the log grows", async () => {
  const { log, read, options } = await open({ stopAtEnd: true });
  await log.append(run("later"));
  assert.deepEqual(await eventsOf(readSlices(read, options), 9), ["0-1", "1-2", "2-3", "caught-up", "end"]);
});

test("a read that stops before the end of the log does not say that it has caught up", async () => {
  const { read, options } = await open({ limits: { ...noLimits, endOffset: 2 }, stopAtEnd: true });
  assert.deepEqual([read.endsAtEnd, read.limits.endOffset], [false, 2]);
  assert.deepEqual(await eventsOf(readSlices(read, options), 9), ["0-1", "1-2", "end"]);
});

test("a read that follows the log waits at its end and catches up again after each record", async () => {
  const { log, read, options } = await open({ start: { end: true } });
  const reader = readSlices(read, options);
  assert.deepEqual(await eventsOf(reader, 1), ["caught-up"]);
  const next = eventsOf(reader, 2);
  await log.append(run("d"));
  assert.deepEqual(await next, ["3-4", "caught-up"]);
  await reader.return();
});

test("a waiting read gives a sign of life at its interval, if its client accepts bytes", async () => {
  const { time, sink, read, options, controller } = await open({ start: { end: true } }, 100);
  const reader = readSlices(read, options);
  await reader.next();
  const beat = reader.next();
  await new Promise(setImmediate);
  while (time.now < 100) time.step();
  assert.deepEqual([(await beat).value, time.now], ["heartbeat", 100]);
  const silent = reader.next();
  sink.writableBytes = 0;
  while (time.now < 200) time.step();
  await new Promise(setImmediate);
  controller.abort();
  await assert.rejects(silent, { kind: "canceled" });
});

test("a read that is behind: it says that it is alive, too, if it is asked to", async () => {
  const { time, read, options } = await open({}, 100);
  let nowMs = 0;
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after: (ms, work) => options.clock.after(ms, work),
    soon: (work) => void setImmediate(work),
  };
  const { take } = read.tail;
  read.tail.take = (...asked) => {
    nowMs += 60;
    return take.apply(read.tail, asked);
  };
  const reader = readSlices(read, { ...options, clock, beatsBehind: true });
  assert.deepEqual(await eventsOf(reader, 4), ["0-1", "1-2", "heartbeat", "2-3"]);
  await reader.return();
  assert.equal(time.now, 0, "no timer was due");
});

/** A read whose tail finds its place when `found` is called, or when the tail is disposed. */
async function openPreparing(heartbeatMs?: number) {
  const opened = await open({}, heartbeatMs);
  const { promise, resolve: found } = Promise.withResolvers<void>();
  const { tail } = opened.read;
  let isPrepared = false;
  void promise.then(() => (isPrepared = true));
  tail.prepare = () => (isPrepared ? undefined : promise);
  const dispose = tail[Symbol.dispose].bind(tail);
  tail[Symbol.dispose] = () => {
    found();
    dispose();
  };
  return { ...opened, found };
}

test("a read that looks for its place far back gives a sign of life at its interval", async () => {
  const { time, read, options, found } = await openPreparing(100);
  const reader = readSlices(read, options);
  for (const at of [100, 200]) {
    const beat = reader.next();
    await new Promise(setImmediate);
    while (time.now < at) time.step();
    assert.deepEqual([(await beat).value, time.now], ["heartbeat", at]);
  }
  found();
  assert.equal(nameOf((await reader.next()).value!), "0-1");
  await reader.return();
});

test("an abort ends a read that looks for its place", async () => {
  const { controller, read, options, listeners } = await openPreparing();
  const waiting = readSlices(read, options).next();
  await new Promise(setImmediate);
  controller.abort();
  await assert.rejects(waiting, { kind: "canceled" });
  assert.equal(listeners(), 0);
});

test("an abort ends a waiting read with its fault, and nothing is left of the reader", async () => {
  const { log, memory, controller, read, options, listeners } = await open();
  const reader = readSlices(read, options);
  await eventsOf(reader, 4);
  const waiting = reader.next();
  await new Promise(setImmediate);
  controller.abort();
  await assert.rejects(waiting, { kind: "canceled" });
  assert.deepEqual([log.openTails, memory.bytes, listeners()], [0, 0, 0]);
});

test("a reader that stops early frees its tail, its memory and its listener", async () => {
  const { log, memory, read, options, listeners } = await open();
  const seen: string[] = [];
  await followSlices(read, options, async (event) => seen.push(nameOf(event)) < 2);
  assert.deepEqual(seen, ["0-1", "1-2"]);
  assert.deepEqual([log.openTails, memory.bytes, listeners()], [0, 0, 0]);
});

test("a read that retention overtakes fails with the extent of the log", async () => {
  const { log, read, options } = await open();
  const reader = readSlices(read, options);
  await reader.next();
  await log.trim(3);
  await assert.rejects(reader.next(), { kind: "out-of-range", facts: { offset: 1, lowest: 3, next: 3 } });
});

test("reads that one append wakes are sent together, in the turn of the pacer", async () => {
  const { log, read, options } = await open({ start: { end: true } });
  const scheduled: { flush(): void }[] = [];
  const pacer = { schedule: (target: { flush(): void }) => void scheduled.push(target) } as unknown as Pacer;
  const seen: string[] = [];
  const following = followSlices(read, { ...options, pacer }, (event) => seen.push(nameOf(event)) < 3);
  await new Promise(setImmediate);
  assert.deepEqual([seen, scheduled.length], [["caught-up"], 0]);
  await log.append(run("d"));
  await new Promise(setImmediate);
  await log.append(run("e"));
  await new Promise(setImmediate);
  assert.deepEqual([seen, scheduled.length], [["caught-up"], 1], "it waits for the pacer");
  scheduled[0]!.flush();
  assert.deepEqual(seen, ["caught-up", "3-4", "4-5"], "without a promise");
  await following;
});

test("an abort ends a read that waits for the pacer", async () => {
  const { log, read, options, controller, listeners } = await open({ start: { end: true } });
  const scheduled: { flush(): void }[] = [];
  const pacer = { schedule: (target: { flush(): void }) => void scheduled.push(target) } as unknown as Pacer;
  const following = followSlices(read, { ...options, pacer }, () => true);
  await new Promise(setImmediate);
  await log.append(run("d"));
  await new Promise(setImmediate);
  controller.abort();
  scheduled[0]!.flush();
  await assert.rejects(following, { kind: "canceled" });
  assert.equal(listeners(), 0);
});

test("a heartbeat comes when the read has waited for its whole interval, not earlier", async () => {
  const { log, time, read, options, controller } = await open({ start: { end: true } }, 100);
  const seen: string[] = [];
  const following = followSlices(read, options, (event) => seen.push(`${time.now} ${nameOf(event)}`) > 0);
  await new Promise(setImmediate);
  time.after(60, () => void log.append(run("d")));
  while (time.now < 60) time.step();
  await new Promise(setImmediate);
  while (time.now < 160 && time.step()) await new Promise(setImmediate);
  assert.deepEqual(seen, ["0 caught-up", "60 3-4", "60 caught-up", "160 heartbeat"]);
  controller.abort();
  await assert.rejects(following, { kind: "canceled" });
});
