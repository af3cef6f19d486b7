import assert from "node:assert/strict";
import { test } from "node:test";
import { Broadcast } from "../../../src/lib/broadcast.ts";

test("a broadcast wakes the current waiters, once", () => {
  const broadcast = new Broadcast();
  const woken: string[] = [];
  broadcast.wait(() => {
    woken.push("a");
    broadcast.wait(() => woken.push("again"));
  });
  const cancel = broadcast.wait(() => woken.push("b"));
  cancel();
  broadcast.notify();
  assert.deepEqual(woken, ["a"]);
  assert.equal(broadcast.size, 1);
  broadcast.notify();
  broadcast.notify();
  assert.deepEqual(woken, ["a", "again"]);
});
