import assert from "node:assert/strict";
import { test } from "node:test";
import { noteRead } from "../../../../../src/api/http/durable-streams/stream-call.ts";
import { Fault } from "../../../../../src/fault.ts";

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
