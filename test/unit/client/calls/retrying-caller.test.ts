import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "@connectrpc/connect";
import {
  type Attempt,
  type CallOptions,
  RetryingCaller,
  type RetryingCallerOptions,
} from "../../../../src/client/calls/retrying-caller.ts";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { timeoutMsMax } from "../../../../src/lib/time/clock.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

function open(options: Partial<RetryingCallerOptions> = {}) {
  const time = new VirtualTime();
  const caller = new RetryingCaller({
    seeds: ["a:1", "b:1"],
    dial: () => ({ transport: {} as Transport, close: () => undefined }),
    clock: time.clock(),
    chance: prng("retrying-caller"),
    backoff: { firstMs: 50, maxMs: 2_000 },
    attemptsMax: 3,
    firstContactMs: 10_000,
    discover: false,
    serversFreshMs: 1_000,
    ...options,
  });
  const attempts: Attempt[] = [];
  /** Makes a call whose attempts fail with these faults, one after the other, and then succeed. */
  const call = async (faults: readonly Fault[], given: Partial<CallOptions> = {}) => {
    const work = async (attempt: Attempt): Promise<string> => {
      const fault = faults[attempts.length];
      attempts.push(attempt);
      if (fault !== undefined) throw fault;
      return "done";
    };
    let isOver = false;
    const call = caller.call({ purpose: "append", effect: "write", deadlineMs: 60_000, ...given }, work);
    const over = (): void => {
      isOver = true;
    };
    call.then(over, over);
    for (await new Promise(setImmediate); !isOver; await new Promise(setImmediate)) time.step();
    return call;
  };
  return { time, caller, attempts, call };
}

const down = (written: "no" | "unknown" = "no"): Fault => new Fault("unavailable", { written });

test("a temporary fault is retried on another node after a wait", async () => {
  const { time, attempts, call } = open();
  assert.equal(await call([down()]), "done");
  assert.equal(new Set(attempts.map(({ addr }) => addr)).size, 2);
  assert.ok(time.now >= 25 && time.now <= 50, `${time.now} ms`);
});

test("a call ends after its attempts, with the last fault", async () => {
  const { attempts, call } = open();
  await assert.rejects(call([down(), down(), new Fault("overloaded"), down()]), { kind: "overloaded" });
  assert.equal(attempts.length, 3);
});

test("a fault that another attempt cannot change is not retried", async () => {
  const { attempts, call } = open();
  await assert.rejects(call([new Fault("bad-request")]), { kind: "bad-request" });
  assert.equal(attempts.length, 1);
});

test("a write of unknown outcome is repeated only if the node recognizes a duplicate", async () => {
  const first = open();
  await assert.rejects(first.call([down("unknown")]), { written: "unknown" });
  assert.equal(first.attempts.length, 1);
  const second = open();
  assert.equal(await second.call([down("unknown")], { repeatable: true }), "done");
});

test("a call of which one attempt may have written fails as unknown, whatever its last attempt said", async () => {
  const { call } = open();
  const faults = [down("unknown"), new Fault("producer-fenced")];
  await assert.rejects(call(faults, { repeatable: true }), { kind: "producer-fenced", written: "unknown" });
});

test("no attempt begins after the deadline, and no wait leads beyond it", async () => {
  const { time, attempts, call } = open();
  await assert.rejects(call([down()], { deadlineMs: 10 }), { kind: "unavailable" });
  assert.deepEqual([time.now, attempts.length], [0, 1]);
  await assert.rejects(call([], { deadlineMs: 0 }), { kind: "deadline", written: "no" });
  assert.equal(attempts.length, 1);
});

test("an attempt has the time until the deadline, a limit of its own, or none", async () => {
  const { attempts, call } = open();
  await call([], { deadlineMs: 100.5 });
  await call([], { deadlineMs: 100, attemptMs: 30 });
  await call([], { deadlineMs: Number.POSITIVE_INFINITY });
  await call([], { deadlineMs: 2 ** 40 });
  assert.deepEqual(
    attempts.map(({ timeoutMs }) => timeoutMs),
    [101, 30, undefined, timeoutMsMax],
  );
});

test("the fault not-leader names the node of the next attempt", async () => {
  const { attempts, call } = open({ seeds: ["a:1", "b:1", "c:1"], discover: false });
  await call([new Fault("not-leader", { facts: { leader: "n9", address: "n9:1" } })]);
  assert.equal(attempts[1]?.addr, "n9:1");
});

test("an aborted signal ends a call with its reason, and a closed client with canceled", async () => {
  const { caller, attempts, call } = open();
  await assert.rejects(call([], { signal: AbortSignal.abort("stop") }), (reason) => reason === "stop");
  caller[Symbol.dispose]();
  await assert.rejects(call([]), { kind: "canceled", message: "the client is closed" });
  assert.equal(attempts.length, 0);
});
