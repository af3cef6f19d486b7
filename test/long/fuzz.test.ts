import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "../wire/hostile/fuzz.ts";

test("a minute of hostile bytes changes no state and stops no process", { timeout: 180_000 }, async () => {
  const seed = process.env["TAILRACE_FUZZ_SEED"] ?? String(Date.now());
  console.log(`fuzz seed ${seed} (TAILRACE_FUZZ_SEED=${seed} repeats it)`);
  const report = await fuzz(60, seed);
  console.log(JSON.stringify(report));
  assert.ok(report.rounds > 10);
});
