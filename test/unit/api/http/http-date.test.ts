import assert from "node:assert/strict";
import { test } from "node:test";
import { httpDate } from "../../../../src/api/http/http-date.ts";
import type { Clock } from "../../../../src/lib/time/clock.ts";

test("the date is an IMF-fixdate, and the same text within a second", () => {
  let now = Date.UTC(2026, 0, 31, 12, 0, 0, 1);
  const date = httpDate({ wallMs: () => now } as Clock);
  assert.equal(date(), "Sat, 31 Jan 2026 12:00:00 GMT");
  now += 998;
  assert.equal(date(), "Sat, 31 Jan 2026 12:00:00 GMT");
  now += 1;
  assert.equal(date(), "Sat, 31 Jan 2026 12:00:01 GMT");
  now -= 60_000;
  assert.equal(date(), "Sat, 31 Jan 2026 11:59:01 GMT");
});
