import assert from "node:assert/strict";
import { test } from "node:test";
import { guarded } from "../../../src/lib/boundary.ts";
import { noLogger } from "../../../src/lib/telemetry.ts";

test("an exception of a handler destroys its socket and logs one error, for any thrown value", () => {
  for (const thrown of [new Error("boom"), "text", undefined, null]) {
    const lines: object[] = [];
    let destroyed = 0;
    const log = { ...noLogger, error: (facts: object, message: string) => lines.push({ ...facts, message }) };
    guarded({ destroy: () => destroyed++ }, log, "it failed", () => {
      throw thrown;
    });
    assert.equal(destroyed, 1);
    assert.deepEqual(lines, [{ err: thrown, message: "it failed" }]);
  }
});

test("the socket of a handler that does not throw stays open", () => {
  guarded({ destroy: () => assert.fail() }, noLogger, "it failed", () => undefined);
});
