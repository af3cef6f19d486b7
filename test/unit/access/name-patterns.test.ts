import assert from "node:assert/strict";
import { test } from "node:test";
import { addPattern, comparePatterns, sortPatterns, unionOf } from "../../../src/access/name-patterns.ts";
import { prng } from "../../../src/lib/prng.ts";

test("a prefix comes before the names that it covers, and names are in the order of their bytes", () => {
  const sorted = ["*", "a*", "a", "a!", "ab*", "b", "\uffff", "\u{1f600}"];
  assert.deepEqual([...sorted].reverse().sort(comparePatterns), sorted);
});

test("a list takes no pattern that it covers", () => {
  const list: string[] = [];
  for (const pattern of ["a*", "a", "ab", "ab*", "b", "b", "c"]) addPattern(list, pattern);
  assert.deepEqual(list, ["a*", "b", "c"]);
});

test("the union of lists has each pattern once, and none that another one covers", () => {
  assert.deepEqual(unionOf([["a", "c*"], ["b", "c/d"], ["a*"]]), ["a*", "b", "c*"]);
  assert.deepEqual(unionOf([]), []);
  const list = ["a", "b"];
  assert.equal(unionOf([list]), list);
});

test("many patterns are sorted in turns", async () => {
  const random = prng("patterns");
  const patterns = Array.from(
    { length: 9_999 },
    () => `${random.between(0, 99_999)}${random.pick(["", "*"])}`,
  );
  assert.deepEqual(await sortPatterns(patterns), [...patterns].sort(comparePatterns));
  assert.deepEqual(await sortPatterns([]), []);
});
