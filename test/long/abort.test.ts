import assert from "node:assert/strict";
import { test } from "node:test";
import { abortCycles } from "../wire/api/abort-cycles.ts";

test("ten thousand clients that disconnect during a call leave no resource behind", {
  timeout: 300_000,
}, async () => {
  const { tails, calls, connections, heapGrowth } = await abortCycles(10_000);
  assert.deepEqual({ tails, calls, connections }, { tails: 0, calls: 0, connections: 0 });
  // The log in memory keeps its records. A leaked connection or call would take kilobytes.
  assert.ok(heapGrowth < 10_000_000, `the heap grew by ${heapGrowth} bytes`);
});
