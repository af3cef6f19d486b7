/** Which calls may be repeated. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isRetrySafe, withUnknownOutcome } from "../../../../src/client/calls/retry-policy.ts";
import { Fault, type FaultKind, type FaultOptions } from "../../../../src/fault.ts";

const fault = (kind: FaultKind, written: FaultOptions["written"] = "no"): Fault =>
  new Fault(kind, { ...(written === undefined ? {} : { written }) });

test("a read is retried if another node can answer it", () => {
  for (const kind of ["unavailable", "not-leader", "overloaded", "corrupt", "deadline"] as const)
    assert.equal(isRetrySafe(fault(kind), "read", false), true, kind);
  for (const kind of ["out-of-range", "permission-denied", "bad-request"] as const)
    assert.equal(isRetrySafe(fault(kind), "read", false), false, kind);
});

test("a write that was not written is retried if the fault is temporary", () => {
  assert.equal(isRetrySafe(fault("unavailable"), "write", false), true);
  assert.equal(isRetrySafe(fault("bad-record"), "write", false), false);
});

test("a write with an unknown outcome is retried only if the node recognizes a duplicate", () => {
  assert.equal(isRetrySafe(fault("interrupted", "unknown"), "write", false), false);
  assert.equal(isRetrySafe(fault("interrupted", "unknown"), "write", true), true);
  assert.equal(isRetrySafe(fault("producer-fenced", "unknown"), "write", true), false);
});

test("a fault with an unknown outcome keeps its kind, message and facts", () => {
  const before = new Fault("unavailable", { message: "no quorum", facts: { unreachable: true } });
  const { kind, message, facts, written, cause } = withUnknownOutcome(before);
  assert.deepEqual(
    [kind, message, facts.unreachable, written, cause],
    ["unavailable", "no quorum", true, "unknown", before],
  );
});
