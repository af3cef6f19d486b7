import assert from "node:assert/strict";
import { test } from "node:test";
import { abortCycles } from "../support/abort-cycles.ts";

test("clients that begin something and vanish leave nothing behind", { timeout: 300_000 }, async () => {
  const { tails, calls, connections, heapGrowth } = await abortCycles(400);
  assert.deepEqual({ tails, calls, connections }, { tails: 0, calls: 0, connections: 0 });
  // The log in memory keeps its records; a connection or a call kept by mistake weighs kilobytes.
  assert.ok(heapGrowth < 4_000_000, `the heap grew by ${heapGrowth} bytes`);
});
