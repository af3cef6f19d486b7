import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerClocks } from "../../../../src/replication/time/peer-clocks.ts";

test("a reading adds half of the round trip, and advances with the monotonic clock", () => {
  const clocks = new PeerClocks();
  clocks.record("b", 50_000, 90, 100);
  assert.equal(clocks.wallMs("b", 100), 50_005);
  assert.equal(clocks.wallMs("b", 10_100), 60_005);
  assert.equal(clocks.wallMs("c", 100), undefined);
});

test("old readings, slow responses and readings of removed peers do not count", () => {
  const clocks = new PeerClocks();
  clocks.record("b", 50_000, 100, 100);
  assert.equal(clocks.wallMs("b", 30_101), undefined);
  clocks.remove("b");
  assert.equal(clocks.wallMs("b", 100), undefined);
  clocks.record("b", 110_000, 0, 5_000);
  assert.equal(clocks.wallMs("b", 5_000), undefined);
});

test("a peer whose clock was set is not steady for an hour, and an invalid time is clamped", () => {
  const clocks = new PeerClocks();
  clocks.record("b", 50_000, 0, 0);
  assert.equal(clocks.steady("b", 0), true);
  clocks.record("b", Number.MAX_VALUE, 1_000, 1_000);
  assert.equal(clocks.wallMs("b", 1_000), 8.64e15);
  assert.equal(clocks.steady("b", 1_000), false);
  assert.equal(clocks.steady("b", 3_601_000), true);
  clocks.record("b", -1, 4_000_000, 4_000_000);
  assert.equal(clocks.wallMs("b", 4_000_000), 0);
});
