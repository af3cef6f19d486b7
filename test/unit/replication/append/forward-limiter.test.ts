import assert from "node:assert/strict";
import { test } from "node:test";
import { ForwardLimiter } from "../../../../src/replication/append/forward-limiter.ts";

test("waiters are called in order as capacity becomes available", async () => {
  const limiter = new ForwardLimiter({ requestsMax: 2, bytesMax: 10 });
  const sent: string[] = [];
  const waiter = (name: string) => {
    const send = (): void => {
      if (!limiter.mayAcquire(send)) {
        limiter.wait(send);
        return;
      }
      limiter.acquire(6);
      sent.push(name);
      limiter.stopWaiting(send);
    };
    return send;
  };
  for (const name of ["a", "b", "c", "d"]) waiter(name)();
  assert.deepEqual(sent, ["a", "b"]);
  limiter.release(6);
  waiter("e")();
  await null;
  assert.deepEqual(sent, ["a", "b", "c"]);
  limiter.release(6);
  limiter.release(6);
  await new Promise(setImmediate);
  assert.deepEqual(sent, ["a", "b", "c", "d", "e"]);
});
