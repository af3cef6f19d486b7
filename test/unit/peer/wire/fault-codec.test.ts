import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { decodeFault, encodeFault } from "../../../../src/peer/wire/fault-codec.ts";

describe("faults between peers", () => {
  test("are sent with kind, message, facts and written, without their cause", () => {
    const fault = new Fault("offset-mismatch", {
      message: "expected 3",
      facts: { expected: 3, code: "t", unreachable: true },
      written: "unknown",
      cause: new Error("a secret"),
    });
    const decoded = decodeFault(structuredClone(encodeFault(fault)));
    assert.equal(decoded.kind, "offset-mismatch");
    assert.equal(decoded.message, "expected 3");
    assert.deepEqual(decoded.facts, { expected: 3, code: "t", unreachable: true });
    assert.equal(decoded.written, "unknown");
    assert.equal(decoded.cause, undefined);
  });

  test("an unknown or malformed fault is decoded as unknown, and may have been written", () => {
    for (const value of [
      undefined,
      null,
      5,
      {},
      { kind: "from-the-future" },
      { kind: "unavailable", facts: 3 },
    ]) {
      const fault = decodeFault(value);
      assert.equal(fault.written, "unknown");
    }
    const future = decodeFault({ kind: "from-the-future", message: "m", written: "no" });
    assert.equal(future.kind, "unknown");
    assert.equal(future.written, "no");
    assert.equal(decodeFault(encodeFault(new TypeError("a bug"))).kind, "unknown");
  });
});
