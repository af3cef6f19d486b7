import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { sleep, within } from "../../../../src/client/calls/abortable-wait.ts";
import { Fault } from "../../../../src/fault.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

function open() {
  const time = new VirtualTime();
  const controller = new AbortController();
  const listeners = (): number => getEventListeners(controller.signal, "abort").length;
  return { time, clock: time.clock(), controller, signal: controller.signal, listeners };
}

const never = new Promise<never>(() => undefined);

test("a sleep ends after its delay, or at once when the signal aborts, and leaves nothing behind", async () => {
  const { time, clock, controller, signal, listeners } = open();
  const first = sleep(clock, 100, signal);
  assert.ok(time.step());
  await first;
  assert.deepEqual([time.now, listeners()], [100, 0]);
  const second = sleep(clock, 100, signal);
  controller.abort();
  await second;
  await sleep(clock, 100, signal);
  assert.equal(listeners(), 0);
  assert.equal(time.step(), false, "no timer is left");
});

test("limited work settles as the work does, and leaves no timer or listener", async () => {
  const { time, clock, signal, listeners } = open();
  assert.equal(await within(clock, Promise.resolve(7), 100, signal), 7);
  const fault = new Fault("not-found");
  await assert.rejects(within(clock, Promise.reject(fault), 100, signal), (reason) => reason === fault);
  await new Promise(setImmediate);
  assert.equal(listeners(), 0);
  assert.equal(time.step(), false);
});

test("limited work fails with deadline after the delay, which may be infinite", async () => {
  const { time, clock, signal, listeners } = open();
  const limited = within(clock, never, 100, signal);
  assert.ok(time.step());
  await assert.rejects(limited, { kind: "deadline" });
  assert.equal(listeners(), 0);
  void within(clock, never, Number.POSITIVE_INFINITY, undefined);
  assert.equal(time.step(), false, "an infinite delay sets no timer");
});

test("limited work fails with the fault of the abort, also if the signal was aborted before", async () => {
  const { time, clock, controller, signal } = open();
  const waiting = within(clock, never, 100, signal);
  const reason = new Fault("canceled", { message: "the client is closed" });
  controller.abort(reason);
  await assert.rejects(waiting, (found) => found === reason);
  await assert.rejects(within(clock, never, 100, signal), (found) => found === reason);
  assert.equal(time.step(), false);
});
