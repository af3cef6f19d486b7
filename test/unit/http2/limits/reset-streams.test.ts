import assert from "node:assert/strict";
import { test } from "node:test";
import { ResetStreams } from "../../../../src/http2/limits/reset-streams.ts";

test("the latest 1,024 streams are kept", () => {
  const streams = new ResetStreams();
  for (let id = 1; id <= 1025; id++) streams.add(id, 0);
  assert.deepEqual([streams.has(1), streams.has(2), streams.has(1025)], [false, true, true]);
});

test("a stream's window can be spent once", () => {
  const streams = new ResetStreams();
  streams.add(1, 10);
  assert.deepEqual([streams.spend(1, 6), streams.spend(1, 4), streams.spend(1, 1)], [true, true, false]);
});

test("a stream that the client ended is dropped", () => {
  const streams = new ResetStreams();
  streams.add(1, 10);
  streams.delete(1);
  assert.equal(streams.has(1), false);
});
