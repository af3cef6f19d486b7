import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { namedLogOf } from "../../../../src/lib/names/log-name.ts";

test("the empty name and default mean the log default", () => {
  assert.equal(namedLogOf(""), undefined);
  assert.equal(namedLogOf("default"), undefined);
});

test("names may have slashes, spaces, emoji and dots", () => {
  for (const name of [
    "a",
    "orders/eu/1",
    "a b",
    "🦀",
    "größe",
    "a.b",
    "...",
    "a_b",
    "Default",
    "a".repeat(255),
  ])
    assert.equal(namedLogOf(name), name);
});

test("an invalid name is a bad request that says what is wrong", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["a".repeat(256), /at most 255 bytes, this one has 256/],
    ["ä".repeat(128), /at most 255 bytes, this one has 256/],
    ["a\nb", /control characters, found U\+000A/],
    ["a\u0085", /control characters, found U\+0085/],
    ["\u007f", /control characters, found U\+007F/],
    ...[..."*?[]{}\\"].map((one) => [`a${one}`, /has none of/] as const),
    ["/a", /begin or end with/],
    ["a/", /begin or end with/],
    ["/", /begin or end with/],
    ["a//b", /no empty element/],
    ["a/./b", /no element "\."/],
    ["..", /no element "\.\."/],
    ["a/..", /no element "\.\."/],
    ["_a", /reserved/],
    ["cafe\u0301", /normal form C, this one would be "café"/],
    ["\ud800", /valid UTF-8/],
  ];
  for (const [name, message] of wrong) {
    assert.throws(
      () => namedLogOf(name, "name"),
      (thrown) =>
        thrown instanceof Fault &&
        thrown.kind === "bad-request" &&
        thrown.facts.field === "name" &&
        message.test(thrown.message),
      JSON.stringify(name),
    );
  }
});
