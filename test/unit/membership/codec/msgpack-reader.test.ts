import assert from "node:assert/strict";
import { test } from "node:test";
import { MsgpackReader } from "../../../../src/membership/codec/msgpack-reader.ts";
import { MsgpackWriter } from "../../../../src/membership/codec/msgpack-writer.ts";

const reader = (hex: string, valuesMax?: number): MsgpackReader =>
  new MsgpackReader(Buffer.from(hex, "hex"), 0, valuesMax);

test("missing and nil fields are the zero values of their types, and unknown keys are ignored", () => {
  const bytes = new MsgpackWriter().map(2).text("Nil").nil().text("Other").uint(1).finish();
  const fields = new MsgpackReader(bytes).fields();
  for (const key of ["Nil", "Missing"]) {
    assert.equal(fields.uint(key), 0);
    assert.equal(fields.bool(key), false);
    assert.equal(fields.text(key), "");
    assert.deepEqual(fields.list(key), []);
    assert.equal(fields.fields(key).size, 0);
  }
});

test("every width of integers decodes to what was encoded", () => {
  for (const value of [
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
  ]) {
    const bytes = new MsgpackWriter().map(1).text("N").uint(value).finish();
    assert.equal(new MsgpackReader(bytes).fields().uint("N"), value);
  }
});

test("strings of the old and the new dialect are read, and strings are checked to be UTF-8", () => {
  for (const hex of ["81a14ea178", "81a14ed90178", "81a14ec40178", "81a14eda000178"]) {
    assert.equal(reader(hex).fields().text("N"), "x", hex);
  }
  assert.throws(() => reader("81a14ea1ff").fields().text("N"), /N is not UTF-8/);
});

test("a value of another type or out of range is refused with its field", () => {
  const fields = reader("81a14ea178").fields();
  assert.throws(() => fields.uint("N"), /N is out of range/);
  assert.throws(() => fields.list("N"), /N is not a list/);
  assert.throws(() => fields.fields("N"), /N is not a map/);
  assert.throws(() => fields.raw("N", 0), /N is too long/);
  assert.throws(() => reader("81a14eff").fields().uint("N"), /N is out of range/, "negative");
});

test("truncated, too large, too deep and unknown values are refused", () => {
  for (const [hex, reason] of [
    ["", /truncated/],
    ["a3", /truncated/],
    ["dd7fffffff", /a count in it is too large/],
    ["df7fffffff", /a count in it is too large/],
    ["91".repeat(20), /nested too deeply/],
    ["c1", /unknown type/],
    ["c0", /instead of a map/],
    ["8101c0", /a key is not text/],
  ] as const) {
    assert.throws(() => reader(hex).fields(), { kind: "bad-request", message: reason }, hex);
  }
  assert.throws(() => reader("94c0c0c0c0", 4).value(), /too many values/);
});
