/** The objects of a policy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isLogPattern, logMatch } from "../../../src/access/log-match.ts";

test("a pattern matches one name, or every name with its prefix", () => {
  const objects = [
    "*",
    "orders",
    "orders/eu",
    "orders/eu/1",
    "orders-eu",
    "Orders",
    ".orders",
    "commandes/été",
  ];
  const matching = (pattern: string): string[] => objects.filter((object) => logMatch(object, pattern));
  assert.deepEqual(matching("*"), objects);
  assert.deepEqual(matching("orders"), ["orders"]);
  assert.deepEqual(matching("orders*"), ["orders", "orders/eu", "orders/eu/1", "orders-eu"]);
  assert.deepEqual(matching("orders/*"), ["orders/eu", "orders/eu/1"]);
  assert.deepEqual(matching("commandes/é*"), ["commandes/été"]);
  assert.deepEqual(matching("rders*"), []);
});

test("every log, and the logs of a prefix, match only a pattern that includes all of them", () => {
  assert.equal(logMatch("*", "*"), true);
  assert.equal(logMatch("*", "orders*"), false);
  assert.equal(logMatch("orders/*", "orders*"), true);
  assert.equal(logMatch("orders/*", "orders/eu*"), false);
});

test("a pattern has no wildcard but one star at its end", () => {
  for (const pattern of ["*", "a", "a*", "a/b/*", "!a", "#a", "+(a)", ".", "名前*", "a b"]) {
    assert.equal(isLogPattern(pattern), true, pattern);
  }
  for (const pattern of [
    "**",
    "a**",
    "*a",
    "a*b",
    "a*b*",
    "?",
    "a?*",
    "[a]",
    "]",
    "{a,b}",
    "}",
    "\\",
    "\\*",
  ]) {
    assert.equal(isLogPattern(pattern), false, pattern);
  }
});
