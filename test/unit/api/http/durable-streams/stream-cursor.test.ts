import assert from "node:assert/strict";
import { test } from "node:test";
import { nextCursor } from "../../../../../src/api/http/durable-streams/stream-cursor.ts";

const origin = Date.UTC(2024, 9, 9);

test("readers of one interval get the same cursor", () => {
  assert.equal(nextCursor(undefined, origin + 40_000, 1), "2");
  assert.equal(nextCursor(undefined, origin + 59_999, 77), "2");
  assert.equal(nextCursor("1", origin + 40_000, 77), "2");
  assert.equal(nextCursor("x", origin + 40_000, 77), "2");
});

test("a reader that has this cursor already gets a greater one, spread over an hour", () => {
  const found = new Set<number>();
  for (let spread = 0; spread < 400; spread += 7.5) {
    const cursor = Number(nextCursor("2", origin + 40_000, spread));
    assert.ok(cursor > 2 && cursor <= 2 + 180);
    found.add(cursor);
  }
  assert.ok(found.size > 20);
  assert.ok(Number(nextCursor("500", origin, 0)) > 500);
});

test("a clock before the origin gives no negative cursor", () => {
  assert.equal(nextCursor(undefined, 0, 0), "0");
});
