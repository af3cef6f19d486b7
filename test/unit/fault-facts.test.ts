import assert from "node:assert/strict";
import { test } from "node:test";
import { factsFrom, factsFromText } from "../../src/fault-facts.ts";

test("a fact of a known name is left out if its value has another type", () => {
  assert.deepEqual(factsFrom({ lowest: "3", next: 7, leader: 1, unreachable: "true" }), { next: 7 });
});

test("a fact that this version does not know is kept if it is text, a number or a boolean", () => {
  const facts = { hint: "x", count: 2, flag: false };
  assert.deepEqual(factsFrom({ ...facts, list: [1], nested: {}, nothing: null }), facts);
});

test("a value that is not an object has no facts", () => {
  for (const value of [undefined, null, 5, "text"]) assert.deepEqual(factsFrom(value), {});
});

test("metadata becomes numbers and booleans again, and names of nodes stay text", () => {
  assert.deepEqual(factsFromText({ next: "7", leader: "7", unreachable: "true", address: "true" }), {
    next: 7,
    leader: "7",
    unreachable: true,
    address: "true",
  });
});

test("metadata of unknown names is read by its form", () => {
  assert.deepEqual(factsFromText({ count: "-12", flag: "false", hint: "x", long: "01" }), {
    count: -12,
    flag: false,
    hint: "x",
    long: "01",
  });
});

test("metadata that does not parse as the type of its fact is left out", () => {
  assert.deepEqual(factsFromText({ next: "soon", unreachable: "1" }), {});
});
