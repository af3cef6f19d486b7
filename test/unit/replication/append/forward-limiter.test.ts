import assert from "node:assert/strict";
import { test } from "node:test";
import { ForwardLimiter } from "../../../../src/replication/append/forward-limiter.ts";

test("who finds no room waits in line, and is called when there is some, the first one first", async () => {
  const limiter = new ForwardLimiter({ requestsMax: 2, bytesMax: 10 });
  const went: string[] = [];
  const caller = (name: string) => {
    const call = (): void => {
      if (!limiter.mayAcquire(call)) {
        limiter.wait(call);
        return;
      }
      limiter.acquire(6);
      went.push(name);
      limiter.stopWaiting(call);
    };
    return call;
  };
  for (const name of ["a", "b", "c", "d"]) caller(name)();
  assert.deepEqual(went, ["a", "b"]);
  limiter.release(6);
  caller("e")();
  await null;
  assert.deepEqual(went, ["a", "b", "c"]);
  limiter.release(6);
  limiter.release(6);
  await new Promise(setImmediate);
  assert.deepEqual(went, ["a", "b", "c", "d", "e"]);
});
