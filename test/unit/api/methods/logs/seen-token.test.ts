import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSeenToken, seenToken } from "../../../../../src/api/methods/logs/seen-token.ts";

test("a token has the life and the Raft index", () => {
  for (const place of [
    { life: 7, index: 12 },
    { life: 0xffff_ffff, index: Number.MAX_SAFE_INTEGER },
  ])
    assert.deepEqual(parseSeenToken(seenToken(place)), place);
  assert.equal(seenToken({ life: 7, index: 12 }), "s7.12");
});

test("anything else is refused as a bad request", () => {
  const wrong = [
    "",
    "7",
    "s7",
    "s7.",
    "s7.0",
    "s07.1",
    "s7.1.0",
    "r7.1.0",
    "s4294967296.1",
    "s7.9007199254740992",
  ];
  for (const text of [...wrong, "s-1.1", " s7.1", "S7.1", `s7.${"9".repeat(10_000)}`])
    assert.throws(() => parseSeenToken(text), { kind: "bad-request", facts: { field: "seen_token" } }, text);
});
