import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./fuzz.ts";

test("hostile bytes change no record and do not stop the server", { timeout: 300_000 }, async () => {
  const report = await fuzz(6, "fixed");
  console.log(JSON.stringify(report));
  assert.ok(report.rounds > 0 && report.accepted > 0 && report.accepted < report.walked);
});
