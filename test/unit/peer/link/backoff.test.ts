import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { Backoff } from "../../../../src/peer/link/backoff.ts";

describe("the delay before a peer is dialed again", () => {
  test("is zero first, then doubles up to a second, half of it random", () => {
    const backoff = new Backoff(prng("backoff"));
    assert.equal(backoff.next(), 0);
    let full = 20;
    for (let attempt = 0; attempt < 12; attempt++) {
      const delay = backoff.next();
      assert.ok(delay >= full / 2 && delay <= full, `${delay} of ${full}`);
      full = Math.min(1_000, full * 2);
    }
  });

  test("is zero after a stable connection, and short after an unstable one", () => {
    const backoff = new Backoff(prng("backoff"));
    for (let attempt = 0; attempt < 9; attempt++) backoff.next();
    backoff.connectionLost(100);
    const soon = backoff.next();
    assert.ok(soon >= 40 && soon <= 80);
    backoff.connectionLost(10_000);
    assert.equal(backoff.next(), 0);
  });
});
