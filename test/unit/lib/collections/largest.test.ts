import assert from "node:assert/strict";
import { test } from "node:test";
import { Largest } from "../../../../src/lib/collections/largest.ts";

test("the items with the largest values are kept, the largest first, and of equal ones the first", () => {
  const largest = new Largest<string>(3);
  for (const [value, item] of [
    [2, "a"],
    [5, "b"],
    [2, "c"],
    [1, "d"],
    [5, "e"],
    [3, "f"],
    [Number.NEGATIVE_INFINITY, "g"],
  ] as const)
    largest.add(value, item);
  assert.deepEqual(largest.items, ["b", "e", "f"]);
});

test("fewer than the limit are all kept", () => {
  const largest = new Largest<string>(3);
  largest.add(Number.NEGATIVE_INFINITY, "a");
  largest.add(0, "b");
  assert.deepEqual(largest.items, ["b", "a"]);
});
