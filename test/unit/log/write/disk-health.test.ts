import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { DiskHealth } from "../../../../src/log/write/disk-health.ts";

const errno = (code: string): Error => Object.assign(new Error(code), { code });

test("a refusal lasts until a write succeeds, and is reported once", () => {
  let refusals = 0;
  const health = new DiskHealth(() => refusals++);
  assert.equal(health.faultOf(errno("ENOSPC")).kind, "disk-full");
  assert.equal(health.faultOf(errno("EMFILE")).kind, "disk-busy");
  assert.equal(health.faultOf(new Fault("disk-full")).kind, "disk-full");
  assert.deepEqual([refusals, health.refusal?.kind, health.usable], [1, "disk-full", true]);
  health.accepted();
  assert.equal(health.refusal, undefined);
  health.checkUsable();
  health.faultOf(errno("ENOSPC"));
  assert.equal(refusals, 2);
});

test("after an error that may lose bytes the log is failed permanently, with the first fault", () => {
  const failures: Fault[] = [];
  const health = new DiskHealth(undefined, (failure) => failures.push(failure));
  const first = health.faultOf(errno("EIO"));
  assert.deepEqual([first.kind, first.written], ["disk-failed", "unknown"]);
  assert.equal(health.faultOf(errno("ENOSPC")), first);
  assert.equal(health.failed(errno("EROFS")), first);
  assert.equal(health.usable, false);
  assert.deepEqual(failures, [first]);
  assert.throws(
    () => health.checkUsable(),
    (reason) => reason instanceof Fault && reason.kind === "disk-failed" && reason.cause === first,
  );
});

test("a closed log is unavailable", () => {
  const health = new DiskHealth(undefined);
  health.close();
  assert.throws(
    () => health.checkUsable(),
    (reason) => reason instanceof Fault && reason.kind === "unavailable",
  );
});
