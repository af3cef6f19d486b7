import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, faultKinds, invitesRetry } from "../../src/fault.ts";

test("a fault without a message has the sentence of its kind, and nothing was written", () => {
  for (const kind of faultKinds) {
    const fault = new Fault(kind);
    assert.ok(fault.message.length > 0);
    assert.deepEqual([fault.kind, fault.written, fault.facts], [kind, "no", {}]);
    assert.equal(fault.retry, invitesRetry(kind));
  }
});

test("a fault whose write may have happened does not invite a retry", () => {
  assert.equal(new Fault("unavailable").retry, true);
  assert.equal(new Fault("unavailable", { written: "unknown" }).retry, false);
});

test("long text is cut, and unpaired surrogates are replaced", () => {
  const fault = new Fault("bad-request", {
    message: "m".repeat(5000),
    facts: { field: `f${"\ud800"}`.repeat(5000), limit: 3 },
  });
  assert.equal(fault.message.length, 2001);
  assert.equal(fault.facts.field?.length, 2001);
  assert.ok(fault.facts.field?.isWellFormed());
  assert.equal(fault.facts.limit, 3);
});

test("anything that is not a fault becomes an unexpected one, with its cause", () => {
  const cause = new Error("x");
  const fault = Fault.from(cause);
  assert.deepEqual([fault.kind, fault.written, fault.unexpected], ["unknown", "unknown", true]);
  assert.equal(fault.cause, cause);
  assert.equal(Fault.from(fault), fault);
});
