import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeName, codeOf, connectErrorOf, httpErrorOf } from "../../../../src/api/calls/error-mapping.ts";
import { Fault, faultKinds } from "../../../../src/fault.ts";

test("every kind of fault has a code, a status and an ErrorInfo with `written`", () => {
  for (const kind of faultKinds) {
    const error = connectErrorOf(new Fault(kind, { facts: { tried: 1 } }));
    const [info] = error.details as { desc: { typeName: string }; value: Record<string, unknown> }[];
    assert.equal(info?.desc.typeName, "google.rpc.ErrorInfo");
    assert.deepEqual(info.value["metadata"], { written: "no", tried: "1" });
    assert.match(String(info.value["reason"]), /^[A-Z_]+$/);
    const { status, body } = httpErrorOf(new Fault(kind, { facts: { tried: 3 } }));
    assert.ok(status >= 400 && status < 600, kind);
    const parsed = JSON.parse(body) as Record<string, unknown>;
    assert.equal(parsed["written"], "no");
    assert.equal(parsed["tried"], 3);
  }
});

test("unavailable always means that nothing was written", () => {
  for (const kind of faultKinds) {
    const fault = new Fault(kind, { written: "unknown" });
    assert.notEqual(codeOf(fault), Code.Unavailable, kind);
    assert.notEqual(httpErrorOf(fault).status, 503, kind);
  }
});

test("a write cut off by a change of the leader is 504 and deadline_exceeded, with its message; a bug is 500", () => {
  const message = "this node lost the leadership before it was decided";
  for (const kind of ["unknown", "unavailable", "not-leader"] as const) {
    const fault = new Fault(kind, { message, written: "unknown" });
    assert.equal(codeOf(fault), Code.DeadlineExceeded, kind);
    const { status, body } = httpErrorOf(fault, "http://127.0.0.1:1/");
    assert.equal(status, 504, kind);
    assert.deepEqual(JSON.parse(body), { code: "deadline_exceeded", message, written: "unknown" });
  }
  const failed = new Fault("disk-failed", { written: "unknown" });
  assert.deepEqual([codeOf(failed), httpErrorOf(failed).status], [Code.Unknown, 500]);
  const bug = Fault.from(new TypeError("a bug"));
  assert.deepEqual([codeOf(bug), httpErrorOf(bug).status], [Code.Unknown, 500]);
  const read = new Fault("unavailable", { message: "there is no leader" });
  assert.deepEqual([codeOf(read), httpErrorOf(read).status], [Code.Unavailable, 503]);
});

test("an error that can be retried says when", () => {
  const types = (fault: Fault) =>
    connectErrorOf(fault).details.map((detail) => ("desc" in detail ? detail.desc.typeName : ""));
  assert.ok(types(new Fault("overloaded")).includes("google.rpc.RetryInfo"));
  assert.ok(!types(new Fault("out-of-range")).includes("google.rpc.RetryInfo"));
  assert.ok(types(new Fault("bad-request")).includes("google.rpc.BadRequest"));
  assert.equal(httpErrorOf(new Fault("overloaded")).headers["retry-after"], "1");
});

test("not-leader redirects if the leader is known, and is unavailable otherwise", () => {
  assert.equal(httpErrorOf(new Fault("not-leader")).status, 503);
  const { status, headers } = httpErrorOf(new Fault("not-leader"), "http://127.0.0.1:1/");
  assert.equal(status, 307);
  assert.equal(headers["location"], "http://127.0.0.1:1/");
});

test("an unexpected error is unknown, and its text is not sent", () => {
  const error = connectErrorOf(new TypeError("secret internals"));
  assert.equal(error.code, Code.Unknown);
  assert.doesNotMatch(error.rawMessage, /secret/);
  assert.doesNotMatch(httpErrorOf(new TypeError("secret internals")).body, /secret/);
  const made = new ConnectError("as it was", Code.NotFound);
  assert.equal(connectErrorOf(made), made);
});

test("codes are spelled as Connect spells them", () => {
  assert.equal(codeName(Code.OutOfRange), "out_of_range");
  assert.equal(codeName(Code.Canceled), "canceled");
  assert.equal(codeName(Code.DataLoss), "data_loss");
});

test("an error does not grow with the request and holds no half of a surrogate pair", () => {
  const fault = new Fault("bad-request", {
    message: `${"x".repeat(1999)}\u{1f600} tail`,
    facts: { field: "f".repeat(1_000_000), limit: 3 },
  });
  assert.ok(fault.message.isWellFormed());
  assert.ok(fault.message.length < 2100);
  assert.ok(String(fault.facts["field"]).length < 2100);
  assert.equal(fault.facts["limit"], 3);
  assert.doesNotThrow(() => encodeURIComponent(connectErrorOf(fault).message));
});
