import assert from "node:assert/strict";
import { test } from "node:test";
import { killRepeatedly } from "./kill-harness.ts";

test("a process that is killed while it writes loses and repeats no acknowledged record", async () => {
  const { acknowledged, records } = await killRepeatedly(6, 1);
  assert.ok(acknowledged > 0 && records >= acknowledged);
});
