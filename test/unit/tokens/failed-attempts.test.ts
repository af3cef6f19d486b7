import assert from "node:assert/strict";
import { test } from "node:test";
import { FailedAttempts } from "../../../src/tokens/failed-attempts.ts";

test("an address may fail 20 times at once, and then once a second", () => {
  const attempts = new FailedAttempts();
  for (let n = 0; n < 20; n++) {
    assert.equal(attempts.waitMs("a", 0), 0, `attempt ${n}`);
    attempts.failed("a", 0);
  }
  assert.equal(attempts.waitMs("a", 0), 1_000);
  assert.equal(attempts.waitMs("b", 0), 0);
  assert.equal(attempts.waitMs("a", 1_000), 0);
  attempts.failed("a", 1_000);
  assert.equal(attempts.waitMs("a", 1_000), 1_000);
  assert.equal(attempts.waitMs("a", 60_000), 0);
  assert.equal(attempts.size, 0, "an address that is free again is forgotten");
});

test("attempts that fail together lock an address out for a limited time", () => {
  const attempts = new FailedAttempts();
  for (let n = 0; n < 100_000; n++) attempts.failed("a", 0);
  assert.ok(attempts.waitMs("a", 0) <= 60_000);
});

test("a limited number of addresses is kept", () => {
  const attempts = new FailedAttempts();
  for (let n = 0; n < 10_000; n++) attempts.failed(`a${n}`, 0);
  assert.equal(attempts.size, 4_096);
});
