/**
 * The decision cache: it is cleared when it is full, and never exceeds its limit.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DecisionCache } from "../../../src/access/decision-cache.ts";

test("allowed, denied and unknown are distinguished by subject, object and action", () => {
  const cache = new DecisionCache();
  cache.set("a", "*", "produce", true);
  cache.set("a", "*", "consume", false);
  assert.equal(cache.get("a", "*", "produce"), true);
  assert.equal(cache.get("a", "*", "consume"), false);
  assert.equal(cache.get("a", "*", "trim"), undefined);
  assert.equal(cache.get("a", "x", "produce"), undefined);
  assert.equal(cache.get("b", "*", "produce"), undefined);
  assert.equal(cache.size, 1, "the actions of a pair share an entry");
});

test("the cache never has more pairs than its limit", () => {
  const cache = new DecisionCache(8);
  for (let at = 0; at < 1_000; at++) {
    cache.set(`s${at % 7}`, `o${at}`, "consume", at % 2 === 0);
    assert.ok(cache.size <= 8);
    assert.equal(cache.get(`s${at % 7}`, `o${at}`, "consume"), at % 2 === 0);
  }
  cache.clear();
  assert.equal(cache.size, 0);
});
