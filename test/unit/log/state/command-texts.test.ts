import assert from "node:assert/strict";
import { test } from "node:test";
import { createCommand, updateCommand } from "../../../../src/log/state/command-texts.ts";

test("a command in a message has the name as one word that is no flag", () => {
  assert.equal(createCommand("a b"), "tailrace logs create 'a b'");
  assert.equal(createCommand("it's"), "tailrace logs create 'it'\\''s'");
  assert.equal(createCommand("--yes"), "tailrace logs create -- '--yes'");
  assert.equal(updateCommand("a", "--max-bytes SIZE"), "tailrace logs update 'a' --max-bytes SIZE");
  assert.equal(updateCommand("-x", "--max-bytes SIZE"), "tailrace logs update --max-bytes SIZE -- '-x'");
  assert.equal(updateCommand("-x"), "tailrace logs update -- '-x'");
});
