import assert from "node:assert/strict";
import { test } from "node:test";
import { noteRead, noteReads } from "../../../../../src/api/http/durable-streams/stream-call.ts";
import { Fault } from "../../../../../src/fault.ts";
import { StillClock } from "../../../../support/log/logs.ts";

test("a read that cannot be noted does not fail, at once or later", async () => {
  const calls: string[] = [];
  const damaged = (): never => {
    calls.push("at once");
    throw new Fault("corrupt");
  };
  const late = async (): Promise<never> => {
    calls.push("later");
    throw new Fault("disk-busy");
  };
  for (const touch of [damaged, late]) {
    const request = { options: { logs: { named: { touch } } } };
    const call = { subject: "alice", telemetry: {} };
    await noteRead(request as never, call as never, { name: "s", id: 1, life: 1 } as never);
  }
  assert.deepEqual(calls, ["at once", "later"]);
});

test("a stream that is followed is read in each quarter of its time to live, until the reader leaves", () => {
  const clock = new StillClock();
  let touches = 0;
  const named = { touch: () => void touches++ };
  const request = { options: { clock, logs: { named } } };
  const follow = (ttlMs?: number): Disposable =>
    noteReads(
      request as never,
      { subject: "alice", telemetry: {} } as never,
      { name: "s", id: 1, life: 1, settings: { ttlMs } } as never,
    );
  const stream = follow(4_000);
  for (let second = 1; second <= 60; second++) {
    clock.advance(1_000);
    assert.equal(touches, second);
  }
  stream[Symbol.dispose]();
  assert.equal(clock.timers, 0);
  follow();
  assert.equal(clock.timers, 0);
  using _ = follow(1);
  clock.advance(240);
  assert.equal(touches, 60);
});
