import assert from "node:assert/strict";
import { test } from "node:test";
import { forwardedCalls } from "../../../../src/agent/cluster/forwarded-calls.ts";
import { Fault } from "../../../../src/fault.ts";
import { type CallStart, noTelemetry } from "../../../../src/lib/telemetry.ts";
import { helloOf } from "../../../support/peer/peer-hello.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("a forwarded write is recorded as a call of its subject, with the node that forwarded it", () => {
  const facts: unknown[] = [];
  const begin = (start: CallStart) => ({
    ...noTelemetry.begin(start),
    tag: (...tag: unknown[]) => facts.push(tag),
    end: (...end: unknown[]) => facts.push(end),
  });
  const starts: CallStart[] = [];
  const calls = forwardedCalls({
    begin: (start) => {
      starts.push(start);
      return begin(start);
    },
  });
  const start = { verb: "append" as const, subject: "ann", from: helloOf("n2", "n2:1"), traceparent };
  const call = calls(start);
  assert.equal(call.traceparent, traceparent);
  call.end(undefined, 12);
  const fault = new Fault("disk-full");
  calls(start).end(fault, 0);
  const { method, protocol, subject, peer } = starts[0] as CallStart;
  assert.deepEqual([method, protocol, subject, peer], ["tailrace.Peer/append", "peer", "ann", "n2:1"]);
  assert.deepEqual(facts, [
    ["via", "n2"],
    ["ok", 12, 0, undefined],
    ["via", "n2"],
    ["resource_exhausted", 0, 0, fault],
  ]);
});
