import assert from "node:assert/strict";
import { test } from "node:test";
import { scratchDirectory } from "../support/scratch.ts";
import { killServerAgainAndAgain } from "./server-kill.ts";

test("a hundred kills of a real server under HTTP writers lose no acknowledged record and duplicate none", async (t) => {
  using scratch = scratchDirectory();
  const killed = await killServerAgainAndAgain(`${scratch.path}/data`, 100, 3);
  t.diagnostic(JSON.stringify(killed));
  assert.ok(killed.acknowledged > 500);
});
