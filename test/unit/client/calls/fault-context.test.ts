import assert from "node:assert/strict";
import { test } from "node:test";
import { afterFailure, withAddress, withoutConnection } from "../../../../src/client/calls/fault-context.ts";
import { Fault } from "../../../../src/fault.ts";

const unreachable = (message: string, facts: Fault["facts"] = {}): Fault =>
  new Fault("unavailable", { message, facts: { unreachable: true, ...facts } });

test("a fault of a connection that failed names its address and its code once", () => {
  const plain = withAddress(unreachable("it failed", { code: "ECONNREFUSED" }), "n1:1");
  assert.equal(plain.message, "no connection to n1:1: it failed (ECONNREFUSED)");
  assert.equal(plain.facts.address, "n1:1");
  const named = withAddress(unreachable("connect ECONNREFUSED n1:1", { code: "ECONNREFUSED" }), "n1:1");
  assert.equal(named.message, "connect ECONNREFUSED n1:1");
});

test("a fault that has an address, or is not about a connection, is left as it is", () => {
  for (const fault of [unreachable("it failed", { address: "n2:1" }), new Fault("not-found")]) {
    assert.equal(withAddress(fault, "n1:1"), fault);
  }
});

test("a deadline that passed while connecting is unavailable, and says what is known about the write", () => {
  const late = new Fault("deadline", { written: "unknown" });
  const { kind, written, facts, cause } = withoutConnection(late, "n1:1");
  assert.deepEqual([kind, written, cause], ["unavailable", "unknown", late]);
  assert.deepEqual(facts, { unreachable: true, address: "n1:1" });
  const other = new Fault("not-leader");
  assert.equal(withoutConnection(other, "n1:1"), other);
});

test("a deadline says what the attempt before it failed with", () => {
  const late = new Fault("deadline", { message: "too late", facts: { timeoutMs: 5 } });
  const previous = unreachable("no route", { address: "n1:1" });
  const fault = afterFailure(late, previous);
  assert.equal(fault.message, "too late; the previous attempt failed: no route");
  assert.deepEqual(fault.facts, { unreachable: true, address: "n1:1", timeoutMs: 5 });
  assert.equal(afterFailure(late, undefined), late);
  assert.equal(afterFailure(late, new Fault("deadline")), late);
  assert.equal(afterFailure(previous, late), previous);
});
