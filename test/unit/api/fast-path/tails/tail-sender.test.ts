import assert from "node:assert/strict";
import { test } from "node:test";
import type { FastCall } from "../../../../../src/api/fast-path/fast-call.ts";
import type { FastPathContext } from "../../../../../src/api/fast-path/fast-path-context.ts";
import { type SentTail, sendTail } from "../../../../../src/api/fast-path/tails/tail-sender.ts";
import { MemoryBudget } from "../../../../../src/memory/memory-budget.ts";
import { VirtualTime } from "../../../../support/time/virtual-clock.ts";
import { FakeFastStream } from "../fake-fast-stream.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A tail with markers whose place is found when `found` is called, or when it is disposed. It then has one portion. */
async function openPreparing() {
  const time = new VirtualTime();
  const clock = time.clock();
  const { promise, resolve: found } = Promise.withResolvers<void>();
  const state = { disposed: 0, isFound: false, taken: 0 };
  void promise.then(() => (state.isFound = true));
  const tail: SentTail = {
    ...{ markers: true, beginsWithBeat: false, isFiltered: false, usesBuffers: false, isBehind: true },
    get ending() {
      return state.taken > 0 ? ("limit" as const) : undefined;
    },
    prepare: () => (state.isFound ? undefined : promise),
    nextBytes: () => 1,
    take() {
      state.taken++;
      return { bytes: Buffer.from("record "), records: 1, payloadBytes: 1, frames: new Uint8Array(1) };
    },
    ready: () => Promise.resolve(true),
    marker: (marker) => Buffer.from(`${marker} `),
    [Symbol.dispose]() {
      state.disposed++;
      found();
    },
  };
  const stream = new FakeFastStream();
  const call = {
    over: false,
    stream,
    tracked: { bytesOut: 0 },
    response: { begin: () => undefined, write: (bytes: Uint8Array) => stream.write(bytes) },
    onEnd: undefined as (() => void) | undefined,
    fail: assert.ifError,
    end() {
      this.over = true;
      this.onEnd?.();
    },
  };
  const context = {
    clock,
    heartbeatMs: 100,
    memory: new MemoryBudget({ limit: 2 ** 20, clock }),
    traffic: { tails: 0, sent: () => undefined },
  };
  sendTail(context as unknown as FastPathContext, call as unknown as FastCall, () => Promise.resolve(tail));
  await settled();
  const pass = (untilMs: number): void => {
    while ((time.next ?? Number.POSITIVE_INFINITY) <= untilMs) time.step();
  };
  return { call, context, state, found, pass, sent: () => stream.body.toString() };
}

test("a client whose tail looks for its place far back gets heartbeats until it is found", async () => {
  const { state, found, pass, sent, call } = await openPreparing();
  pass(350);
  assert.equal(sent(), "heartbeat heartbeat heartbeat ");
  found();
  await settled();
  pass(360);
  assert.equal(sent(), "heartbeat heartbeat heartbeat record ");
  assert.deepEqual([state.disposed, call.over], [1, true]);
});

test("a client that leaves frees a tail that looks for its place, which takes nothing then", async () => {
  const { call, context, state, pass, sent } = await openPreparing();
  call.end();
  await settled();
  pass(1_000);
  assert.deepEqual([state.disposed, state.taken, context.traffic.tails, sent()], [1, 0, 0, ""]);
});
