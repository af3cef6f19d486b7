import assert from "node:assert/strict";
import { test } from "node:test";
import { anySignal, canceledFault, rejectionOf } from "../../../../src/client/calls/abort-signals.ts";
import { Fault } from "../../../../src/fault.ts";

test("a combined signal aborts with the first of its signals, and there is none of none", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  assert.equal(anySignal(undefined, undefined), undefined);
  assert.equal(anySignal(undefined, first.signal), first.signal);
  const both = anySignal(first.signal, undefined, second.signal);
  second.abort("stop");
  assert.deepEqual([both?.aborted, both?.reason], [true, "stop"]);
});

test("the reason of an abort is the fault, or its cause", () => {
  const fault = new Fault("permission-denied");
  assert.equal(canceledFault(AbortSignal.abort(fault)), fault);
  const { kind, written, cause } = canceledFault(AbortSignal.abort("stop"));
  assert.deepEqual([kind, written, cause], ["canceled", "no", "stop"]);
});

test("a call that its own signal ended rejects with the reason of the signal, unless something may be written", () => {
  const signal = AbortSignal.abort("stop");
  const canceled = canceledFault(signal);
  assert.equal(rejectionOf(canceled, signal), "stop");
  const unknown = new Fault("canceled", { cause: "stop", written: "unknown" });
  assert.equal(rejectionOf(unknown, signal), unknown);
  const closed = new Fault("canceled", { message: "the client is closed" });
  assert.equal(rejectionOf(closed, signal), closed, "another signal ended the call");
  assert.equal(rejectionOf(canceled, undefined), canceled);
});
