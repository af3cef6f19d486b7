import assert from "node:assert/strict";
import { test } from "node:test";
import { ForwardLimiter } from "../../../../src/replication/append/forward-limiter.ts";

/** Sends of 6 bytes, each once, when the limiter allows it. */
function open() {
  const limiter = new ForwardLimiter({ requestsMax: 8, bytesMax: 48 });
  const sent: string[] = [];
  const releases: (() => void)[] = [];
  const send = (name: string, log?: string): void => {
    const options = log === undefined ? {} : { log: { name: log } };
    const attempt = (): void => {
      if (!limiter.mayAcquire(attempt, options)) {
        limiter.wait(attempt, options);
        return;
      }
      releases.push(limiter.acquire(6, options));
      sent.push(name);
      limiter.stopWaiting(attempt);
    };
    attempt();
  };
  return { limiter, sent, releases, send };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("waiters of a log are called in order as capacity becomes available", async () => {
  const { sent, releases, send } = open();
  for (const name of ["a", "b", "c", "d", "e", "f"]) send(name);
  assert.deepEqual(sent, ["a", "b", "c", "d"]);
  releases.shift()!();
  send("g");
  await settled();
  assert.deepEqual(sent, ["a", "b", "c", "d", "e"]);
  for (const release of releases.splice(0)) release();
  await settled();
  assert.deepEqual(sent, ["a", "b", "c", "d", "e", "f", "g"]);
});

test("appends to one log that are not answered leave capacity for the other logs", async () => {
  const { limiter, sent, releases, send } = open();
  for (let at = 0; at < 20; at++) send(`bulk ${at}`, "bulk");
  send("small", "small");
  send("default");
  assert.deepEqual(sent.slice(4), ["small", "default"]);
  for (let at = 0; at < 5; at++) send(`other ${at}`, "other");
  const before = sent.length;
  while (sent.length < 27) {
    const waiting = sent.length;
    releases.shift()!();
    await settled();
    assert.ok(sent.length > waiting || releases.length > 0, "a waiter is forgotten");
  }
  const others = sent.slice(before, before + 12).filter((name) => name.startsWith("other"));
  assert.ok(others.length >= 3, "logs are served in turn");
  for (const release of releases) release();
  assert.equal(limiter.hasCapacity({ log: { name: "bulk" } }), true);
});
