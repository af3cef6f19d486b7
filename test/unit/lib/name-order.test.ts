import assert from "node:assert/strict";
import { test } from "node:test";
import { compareNames } from "../../../src/lib/name-order.ts";

const byBytes = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));
/** Where UTF-16 and UTF-8 differ: code points from U+E000 on, and those above U+FFFF. */
const points = [
  "",
  "a",
  "a/",
  "a/b",
  "ab",
  "b",
  "\u00fc",
  "\ud7ff",
  "\ue000",
  "\uff5e",
  "\uffff",
  "\u{10000}",
  "\u{1f600}",
  "\u{10ffff}",
];
const names = [...new Set(points.flatMap((one) => points.map((other) => one + other)))].filter(
  (name) => name !== "",
);

test("names are in the order of their UTF-8 bytes", () => {
  for (const one of names)
    for (const other of names)
      assert.equal(Math.sign(compareNames(one, other)), byBytes(one, other), `${one} ${other}`);
});
