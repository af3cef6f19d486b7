import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { compileTagExpression } from "../../../../src/membership/serf/tag-expression.ts";

test("expressions match as in JavaScript, where both share the syntax", () => {
  const pieces = [
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    "(a|b)",
    "(?:ab)",
    "\\d",
    "\\w",
    "^",
    "$",
    "a*",
    "b+",
    "(ab)?",
    "a{2}",
    "b{1,2}",
    "(a|)",
  ];
  const expression = fc.array(fc.constantFrom(...pieces, "|"), { maxLength: 6 }).map((list) => list.join(""));
  const value = fc
    .array(fc.constantFrom("a", "b", "c", "1", " "), { maxLength: 8 })
    .map((list) => list.join(""));
  fc.assert(
    fc.property(expression, value, (text, candidate) => {
      let expected: boolean;
      try {
        expected = new RegExp(text).test(candidate);
      } catch {
        return true;
      }
      assert.equal(compileTagExpression(text)?.(candidate), expected, `${text} on ${candidate}`);
      return true;
    }),
    { numRuns: 3_000, seed: 3 },
  );
});

test("a malformed, too large or unsupported expression does not compile", () => {
  for (const bad of [
    "(",
    ")",
    "[",
    "a)",
    "*",
    "a{1001}",
    "(a{100}){100}",
    "((){1000}){1000}",
    "\\p{L}",
    "(?=a)",
    "\\q",
    "[b-a]",
    "(".repeat(100),
  ]) {
    assert.equal(compileTagExpression(bad), undefined, bad);
  }
});

test("an expression that blocks a backtracking engine is matched in linear time", () => {
  const hostile = compileTagExpression("^(a+)+$");
  assert.equal(hostile?.(`${"a".repeat(500)}!`), false);
  assert.equal(compileTagExpression("(a*)*b")?.("a".repeat(500)), false);
});
