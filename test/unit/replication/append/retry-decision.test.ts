import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, faultKinds } from "../../../../src/fault.ts";
import { finalFault, retryDecision } from "../../../../src/replication/append/retry-decision.ts";

const producer = { subject: "s", id: 1n, epoch: 0, sequence: 7 };
const unknown = new Fault("interrupted", { written: "unknown" });
const asked = { isFirst: true, isStream: true, undecided: undefined };

test("an append without conditions that may have been written is not retried, whatever the fault", () => {
  for (const kind of faultKinds) {
    const fault = new Fault(kind, { written: "unknown" });
    for (const isStream of [true, false]) {
      const decision = retryDecision({ ...asked, isStream, fault, options: {} });
      // Faults of the producer table do not occur without a producer.
      if (!["out-of-sequence", "unknown-producer", "sequence-too-old"].includes(kind)) {
        assert.equal(decision, "fail", kind);
      }
    }
  }
});

test("an append with a sequence or an expected offset is retried", () => {
  for (const options of [{ producer }, { expectedOffset: 3 }]) {
    assert.equal(retryDecision({ ...asked, fault: unknown, options }), "retry");
  }
});

test("an append to a named log that states no id is not retried: the name can mean another log by then", () => {
  for (const options of [{ producer }, { expectedOffset: 3 }]) {
    const byName = retryDecision({ ...asked, fault: unknown, options: { ...options, log: { name: "a" } } });
    assert.equal(byName, "fail");
    const withId = { ...options, log: { name: "a", id: 1 } };
    assert.equal(retryDecision({ ...asked, fault: unknown, options: withId }), "retry");
    const notSent = new Fault("unavailable", { written: "no" });
    assert.equal(retryDecision({ ...asked, fault: notSent, options: { log: { name: "a" } } }), "retry");
  }
});

test("an append that certainly was not written is retried; if the queue was full, only in a stream", () => {
  for (const kind of ["not-leader", "unavailable"] as const) {
    assert.equal(retryDecision({ ...asked, fault: new Fault(kind), options: {} }), "retry");
  }
  const full = { ...asked, fault: new Fault("overloaded"), options: {} };
  assert.equal(retryDecision(full), "retry");
  assert.equal(retryDecision({ ...full, isStream: false }), "fail");
  assert.equal(retryDecision({ ...asked, fault: new Fault("bad-record"), options: {} }), "fail");
});

test("out-of-sequence is retried while a run before it must be sent again", () => {
  const fault = new Fault("out-of-sequence", { facts: { expected: 3, sequence: 7 } });
  assert.equal(retryDecision({ ...asked, fault, options: { producer } }), "fail");
  assert.equal(retryDecision({ ...asked, fault, options: { producer }, isFirst: false }), "retry");
  assert.equal(retryDecision({ ...asked, fault, options: { producer }, undecided: unknown }), "retry");
});

test("a sequence that is too old after an undecided attempt is in the log, so its offset is observed", () => {
  const fault = new Fault("sequence-too-old", { written: "unknown" });
  assert.equal(retryDecision({ ...asked, fault, options: { producer } }), "fail");
  assert.equal(retryDecision({ ...asked, fault, options: { producer }, undecided: unknown }), "observe");
});

test("the outcome is unknown if any attempt may have written, whatever the last one returned", () => {
  const { kind, written } = finalFault(new Fault("offset-mismatch"), unknown);
  assert.deepEqual([kind, written], ["interrupted", "unknown"]);
  assert.equal(finalFault(new Fault("not-leader"), undefined).kind, "unavailable");
  assert.equal(finalFault(new Fault("offset-mismatch"), undefined).kind, "offset-mismatch");
});
