import assert from "node:assert/strict";
import { test } from "node:test";
import { exitStatus, statusOf } from "../../../src/cli/exit-status.ts";
import { logOf, namedLog } from "../../../src/cli/log-names.ts";
import { Fault } from "../../../src/fault.ts";

const isUsage = (reason: unknown): boolean => statusOf(Fault.from(reason)) === exitStatus.usage;

test("without --log the log is default", () => {
  assert.equal(logOf({}), "default");
  assert.equal(logOf({ log: "orders/eu 1" }), "orders/eu 1");
});

test("a text that is not a name is wrong usage", () => {
  for (const log of ["", "a*", "/a", "a//b", "_a", "a\n", ".."]) {
    assert.throws(() => logOf({ log }), isUsage, log);
    assert.throws(() => namedLog(log), isUsage, log);
  }
});

test("default cannot be created or deleted", () => {
  assert.equal(namedLog("orders"), "orders");
  assert.throws(() => namedLog("default"), isUsage);
});
