import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessControl, localIdentity } from "../../../../src/access/mod.ts";
import { CallTracker } from "../../../../src/api/calls/call-tracker.ts";
import { logPermissions } from "../../../../src/api/calls/method-permissions.ts";
import { FastCall } from "../../../../src/api/fast-path/fast-call.ts";
import { ResponseHeads } from "../../../../src/api/fast-path/response-head.ts";
import { receiveUnary } from "../../../../src/api/fast-path/unary-message.ts";
import { Fault } from "../../../../src/fault.ts";
import { noTelemetry } from "../../../../src/lib/telemetry.ts";
import type { Clock } from "../../../../src/lib/time/clock.ts";
import { MemoryBudget } from "../../../../src/memory/memory-budget.ts";
import { FakeFastStream } from "./fake-fast-stream.ts";

/** Calls on one clock, whose time and timers the test moves. */
function openCalls() {
  const time = { nowMs: 0, timers: [] as (() => void)[], turns: [] as (() => void)[] };
  const clock: Clock = {
    wallMs: () => time.nowMs,
    monotonicMs: () => time.nowMs,
    after(_delayMs, callback) {
      time.timers.push(callback);
      return { cancel: () => undefined };
    },
    soon: (callback) => time.turns.push(callback),
  };
  const calls = new CallTracker({ access: new AccessControl(), telemetry: noTelemetry, clock });
  const memory = new MemoryBudget({ limit: 1e9, clock });
  const client = { identity: localIdentity, peer: "p", secure: false };
  const open = (timeoutMs: number) => {
    const stream = new FakeFastStream();
    const start = { protocol: "connect", deadlineMs: time.nowMs + timeoutMs } as const;
    const tracked = calls.beginCall(logPermissions.produce, client, start);
    const request = { framing: "connect-unary", isJson: true, protocol: "connect", timeoutMs } as const;
    const heads = new ResponseHeads([], () => "now");
    return { stream, call: new FastCall(stream, request, heads, tracked, calls, memory, clock) };
  };
  return { time, open };
}

test("a call that has failed refers to nothing of its request, whose rest still arrives", () => {
  const { open } = openCalls();
  const { stream, call } = open(1000);
  receiveUnary(call, 1_000_000, () => assert.fail("the call is over"));
  stream.onData?.(Buffer.alloc(500_000));
  assert.equal(call.requestMemory.bytes, 500_000);
  call.fail(new Fault("overloaded"));
  assert.deepEqual([stream.onData, stream.onEnd, call.requestMemory.bytes], [undefined, undefined, 0]);
});

test("a request whose deadline has passed is refused before its work begins", () => {
  const { time, open } = openCalls();
  const atOnce = open(0);
  assert.match(atOnce.stream.body.toString(), /deadline_exceeded/);
  assert.equal(atOnce.call.over, true);
  // The timer has not fired yet.
  const late = open(5);
  let received = 0;
  receiveUnary(late.call, 100, () => received++);
  time.nowMs += 5;
  late.stream.onData?.(Buffer.from("{}"));
  late.stream.onEnd?.();
  assert.match(late.stream.body.toString(), /deadline_exceeded/);
  assert.equal(received, 0);
  const early = open(5);
  receiveUnary(early.call, 100, () => received++);
  early.stream.onEnd?.();
  assert.deepEqual([received, early.call.over], [1, false]);
});

for (const cause of ["deadline", "failure"])
  test(`calls that end together with a ${cause} do so in several turns of the event loop`, () => {
    const { time, open } = openCalls();
    const opened = Array.from({ length: 100 }, () => open(1));
    for (const { stream, call } of opened) {
      stream.respond = () => (time.nowMs += 1);
      assert.equal(call.over, false);
    }
    const ended = (): number => opened.filter(({ call }) => call.over).length;
    time.nowMs += 1;
    if (cause === "deadline") for (const timer of time.timers.splice(0)) timer();
    else for (const { call } of opened) call.failInTurn(new Fault("overloaded"));
    assert.ok(ended() < 20, `${ended()} calls ended in one turn`);
    for (let turn = 0; turn < 200; turn++) for (const work of time.turns.splice(0)) work();
    assert.equal(ended(), 100);
  });
