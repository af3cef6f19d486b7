import assert from "node:assert/strict";
import { test } from "node:test";
import { abortCycles } from "./abort-cycles.ts";

test("clients that disconnect during a request leave no memory in use", { timeout: 300_000 }, async () => {
  const { tails, calls, connections, heapGrowth } = await abortCycles(400);
  assert.deepEqual({ tails, calls, connections }, { tails: 0, calls: 0, connections: 0 });
  // The log in memory keeps its records. A leaked connection or call takes kilobytes.
  assert.ok(heapGrowth < 4_000_000, `the heap grew by ${heapGrowth} bytes`);
});
