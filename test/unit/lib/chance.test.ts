import assert from "node:assert/strict";
import { test } from "node:test";
import { systemSeed } from "../../../src/lib/chance.ts";

test("two seeds of the machine differ and have 128 bits", () => {
  const [one, other] = [systemSeed(), systemSeed()];
  assert.match(one, /^[0-9a-f]{32}$/);
  assert.notEqual(one, other);
});
