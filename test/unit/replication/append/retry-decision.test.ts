import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, faultKinds } from "../../../../src/fault.ts";
import { finalFault, retryDecision } from "../../../../src/replication/append/retry-decision.ts";

const producer = { subject: "s", id: 1n, epoch: 0, sequence: 7 };
const unknown = new Fault("interrupted", { written: "unknown" });
const asked = { isFirst: true, isStream: true, undecided: undefined };

test("a plain append that may have been written is never sent again, whatever the fault", () => {
  for (const kind of faultKinds) {
    const fault = new Fault(kind, { written: "unknown" });
    for (const isStream of [true, false]) {
      const verdict = retryDecision({ ...asked, isStream, fault, options: {} });
      // The producer's verdicts cannot come for an append without one.
      if (!["out-of-sequence", "unknown-producer", "sequence-too-old"].includes(kind)) {
        assert.equal(verdict, "fail", kind);
      }
    }
  }
});

test("one with a sequence or an expected offset is sent again", () => {
  for (const options of [{ producer }, { expectedOffset: 3 }]) {
    assert.equal(retryDecision({ ...asked, fault: unknown, options }), "retry");
  }
});

test("what the leader certainly did not take is sent again; for want of room only in a stream", () => {
  for (const kind of ["not-leader", "unavailable"] as const) {
    assert.equal(retryDecision({ ...asked, fault: new Fault(kind), options: {} }), "retry");
  }
  const full = { ...asked, fault: new Fault("overloaded"), options: {} };
  assert.equal(retryDecision(full), "retry");
  assert.equal(retryDecision({ ...full, isStream: false }), "fail");
  assert.equal(retryDecision({ ...asked, fault: new Fault("bad-record"), options: {} }), "fail");
});

test("out of sequence is no verdict while one before it has to be sent again", () => {
  const fault = new Fault("out-of-sequence", { facts: { expected: 3, sequence: 7 } });
  assert.equal(retryDecision({ ...asked, fault, options: { producer } }), "fail");
  assert.equal(retryDecision({ ...asked, fault, options: { producer }, isFirst: false }), "retry");
  assert.equal(retryDecision({ ...asked, fault, options: { producer }, undecided: unknown }), "retry");
});

test("a sequence that is too old because of an attempt of ours is in the log: the offset is waited for", () => {
  const fault = new Fault("sequence-too-old", { written: "unknown" });
  assert.equal(retryDecision({ ...asked, fault, options: { producer } }), "fail");
  assert.equal(retryDecision({ ...asked, fault, options: { producer }, undecided: unknown }), "observe");
});

test("the outcome is unknown if any attempt may have written, whatever the last one came to", () => {
  const { kind, written } = finalFault(new Fault("offset-mismatch"), unknown);
  assert.deepEqual([kind, written], ["interrupted", "unknown"]);
  assert.equal(finalFault(new Fault("not-leader"), undefined).kind, "unavailable");
  assert.equal(finalFault(new Fault("offset-mismatch"), undefined).kind, "offset-mismatch");
});
