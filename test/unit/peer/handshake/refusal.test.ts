import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalFault, refusalReasonOf, refusedByPeer } from "../../../../src/peer/handshake/refusal.ts";

test("a reason that only a later version knows counts as a missing permission", () => {
  assert.equal(refusalReasonOf("other-cluster"), "other-cluster");
  for (const unknown of ["from-the-future", "", "toString", "constructor"]) {
    assert.equal(refusalReasonOf(unknown), "not-permitted");
  }
});

test("the fault of a refusal says which of the two nodes refuses", () => {
  const refusal = { reason: "rolled-back", message: "why" } as const;
  assert.deepEqual(refusalFault(refusal).facts, { reason: "rolled-back" });
  assert.deepEqual(refusedByPeer(refusal).facts, { reason: "rolled-back", refusedByPeer: true });
  assert.equal(refusedByPeer(refusal).kind, "foreign-directory");
});
