/** The exit status of each fault. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { argumentFault, statusOf, usageFault } from "../../../src/cli/exit-status.ts";
import { Fault } from "../../../src/fault.ts";

test("the exit status is 2 for usage, 3 for unreachable, 4 for permission, 5 for corrupt, otherwise 1", () => {
  for (const [fault, status] of [
    [new Fault("out-of-range"), 1],
    [new Fault("config"), 1],
    [usageFault("--batch must be a number"), 2],
    [new Fault("unavailable", { facts: { unreachable: true } }), 3],
    [new Fault("permission-denied"), 4],
    [new Fault("unauthenticated"), 4],
    [new Fault("corrupt"), 5],
  ] as const)
    assert.equal(statusOf(fault), status, fault.kind);
});

test("a usage fault quotes the value that it refuses", () => {
  const fault = argumentFault("--addr must be HOST:PORT", "no port");
  assert.equal(fault.message, '--addr must be HOST:PORT, not "no port"');
  assert.equal(statusOf(fault), 2);
});
