import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { exitStatus, statusOf } from "../../../src/cli/exit-status.ts";
import { logOf, logOption, namedLog } from "../../../src/cli/log-names.ts";
import { Fault } from "../../../src/fault.ts";

const isUsage = (reason: unknown): boolean => statusOf(Fault.from(reason)) === exitStatus.usage;

test("without --log the log is default", () => {
  assert.equal(logOf({}), "default");
  assert.equal(logOf({ log: "orders/eu 1" }), "orders/eu 1");
});

test("a command of one log refuses a second --log and names the command of several", () => {
  const parsed = (...args: string[]) =>
    logOption(new Command("consume").exitOverride().configureOutput({ writeErr() {} })).parse(args, {
      from: "user",
    });
  assert.deepEqual(parsed("--log", "a").opts(), { log: "a" });
  assert.throws(() => parsed("--log", "a", "--log", "b"), /takes one log\. Only tail takes several/);
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
