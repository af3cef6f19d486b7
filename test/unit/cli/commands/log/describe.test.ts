import assert from "node:assert/strict";
import { test } from "node:test";
import { timeText } from "../../../../../src/cli/commands/log/describe.ts";

test("every time that a log can hold is printed, those beyond the range of Date as numbers", () => {
  assert.equal(timeText(0), "-");
  assert.equal(timeText(1000), "1970-01-01T00:00:01.000Z");
  assert.equal(timeText(Number.MAX_SAFE_INTEGER), "9007199254740991 ms");
});
