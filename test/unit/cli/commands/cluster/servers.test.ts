/** The output of `tailrace servers`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { healthText } from "../../../../../src/cli/commands/cluster/servers.ts";

test("the health of an unreachable node says for how long it has not responded", () => {
  assert.equal(healthText({ healthy: true, lastContactMs: 12_000n }, false), "ok");
  assert.equal(healthText({ healthy: false, lastContactMs: 12_340n }, false), "no answer for 12.3 s");
  assert.equal(healthText({ healthy: false, lastContactMs: 2n ** 53n - 1n }, false), "no answer");
  assert.equal(healthText({ healthy: false, lastContactMs: 0n }, true), "not ready");
});
