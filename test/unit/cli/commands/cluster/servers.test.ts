/** The output of `tailrace servers`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { healthText } from "../../../../../src/cli/commands/cluster/servers.ts";

test("the health of an unreachable node says for how long it has not responded", () => {
  assert.equal(healthText({ healthy: true, lastContactMs: 12_000n }), "ok");
  assert.equal(healthText({ healthy: false, lastContactMs: 12_340n }), "no answer for 12.3 s");
  assert.equal(healthText({ healthy: false, lastContactMs: 2n ** 53n - 1n }), "no answer");
});
