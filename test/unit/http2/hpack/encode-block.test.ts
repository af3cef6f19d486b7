import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBlock } from "../../../../src/http2/hpack/encode-block.ts";
import type { Field } from "../../../../src/http2/hpack/static-table.ts";

const hex = (...fields: Field[]): string => encodeBlock(fields).toString("hex");

test("a field of the static table is one byte, a name of it an index and the value", () => {
  assert.equal(hex([":status", "200"]), "88");
  assert.equal(hex([":status", "201"]), "0803323031");
});

test("the first of several entries with one name gives the index, and a long index takes two bytes", () => {
  assert.equal(hex([":method", "PUT"]), "0203505554");
  assert.equal(hex(["www-authenticate", "x"]), "0f2e0178");
});

test("a field that is not in the table is a literal that no table keeps", () => {
  assert.equal(hex(["x", "é"]), "00017801e9");
});

test("a length of 127 bytes and more is continued in further bytes", () => {
  for (const [length, prefix] of [
    [126, "7e"],
    [127, "7f00"],
    [254, "7f7f"],
    [255, "7f8001"],
  ] as const) {
    assert.equal(hex(["x", "a".repeat(length)]).slice(6, 6 + prefix.length), prefix);
  }
});
