import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { faultOfAbort, unlessAborted, withWritten } from "../../../../src/api/calls/abort.ts";
import { Fault } from "../../../../src/fault.ts";

const aborted = (reason?: unknown): AbortSignal => AbortSignal.abort(reason);

test("an abort becomes the fault of its reason: the same fault, a deadline, or canceled", () => {
  assert.equal(faultOfAbort(aborted(new Fault("permission-denied"))).kind, "permission-denied");
  assert.equal(faultOfAbort(aborted(new ConnectError("late", Code.DeadlineExceeded))).kind, "deadline");
  assert.equal(faultOfAbort(aborted(new ConnectError("gone", Code.Canceled))).kind, "canceled");
  assert.equal(faultOfAbort(aborted()).kind, "canceled");
});

test("the fault of an abort says what is known about the write", () => {
  assert.equal(faultOfAbort(aborted()).written, "no");
  assert.equal(faultOfAbort(aborted(), "unknown").written, "unknown");
  const fault = new Fault("too-large", { message: "more than 1 record", facts: { limit: 1 } });
  const unknown = withWritten(fault, "unknown");
  assert.deepEqual(
    [unknown.kind, unknown.message, unknown.written, unknown.facts],
    ["too-large", "more than 1 record", "unknown", { limit: 1 }],
  );
  assert.equal(withWritten(fault, "no"), fault);
});

test("work that ends before an abort is not affected by it", async () => {
  const controller = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(7), controller.signal, "unknown"), 7);
  const failed = unlessAborted(Promise.reject(new Error("work")), controller.signal, "unknown");
  await assert.rejects(failed, { message: "work" });
  controller.abort();
});
