/** Reads that extend the life of a stream, where the leader is this node and nothing is committed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NamedLogs } from "../../../../src/replication/logs/named-logs.ts";
import { StillClock } from "../../../support/log/logs.ts";

test("a read waits for at most 3 s until it counts, and the next ones do not wait for the same commit", async () => {
  const clock = new StillClock();
  const row = {
    id: 1,
    name: "s",
    settings: { ttlMs: 8, contentType: "text/plain" },
    createdMs: 0,
    lastMs: 0,
  };
  let commit = Promise.withResolvers<never>();
  let changes = 0;
  const named = new NamedLogs({
    clock,
    log: { state: { logs: { named: () => row } } },
    appender: {},
    expiryMs: () => 1_000,
    membersWithout: () => [],
    onLeader: () => {
      changes++;
      return commit.promise;
    },
  } as never);
  const waited = async (): Promise<boolean> => {
    let isOver = false;
    void Promise.resolve(named.touch({ name: "s" })).then(() => (isOver = true));
    await new Promise(setImmediate);
    return !isOver;
  };
  assert.equal(await waited(), true);
  clock.advance(2_999);
  assert.equal(await waited(), true);
  clock.advance(1);
  assert.equal(await waited(), false);
  assert.equal(changes, 1, "the first one is still under way");
  commit.reject(new Error("no leader"));
  await new Promise(setImmediate);
  commit = Promise.withResolvers<never>();
  assert.equal(await waited(), true);
  assert.equal(changes, 2);
  commit.reject(new Error("no leader"));
  await new Promise(setImmediate);
  assert.equal(clock.timers, 0);
});
