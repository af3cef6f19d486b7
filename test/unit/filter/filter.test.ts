import assert from "node:assert/strict";
import { test } from "node:test";
import type { Verdict } from "../../../src/filter/filter.ts";
import { compileFilter } from "../../../src/filter/mod.ts";
import { prng } from "../../../src/lib/prng.ts";
import { encodeRun, RecordCursor } from "../../../src/log/mod.ts";
import type { RecordParts } from "../../../src/types.ts";
import {
  libraryFilter,
  randomByteCondition,
  randomCondition,
  randomRecord,
} from "../../support/filter/random-filters.ts";
import { recordCursor } from "../../support/filter/record-cursor.ts";

const order: Partial<RecordParts> = {
  key: Buffer.from("user/1"),
  value: Buffer.from(
    '{"level":"error","n":5,"tags":["a","b"],"inner":{"id":7,"none":null},"long":9007199254740993}',
  ),
  headers: [
    { key: "kind", value: Buffer.from("first") },
    { key: "kind", value: Buffer.from("order") },
  ],
};
const verdict = (condition: string, record: Partial<RecordParts> = order): Verdict =>
  compileFilter(condition).matches(recordCursor(record));

test("a condition is about key, headers, value, json, text, offset and time", () => {
  const expected: Readonly<Record<string, Verdict>> = {
    'key == "user/1"': true,
    'key.startsWith("user/")': true,
    'headers.kind == "order"': true,
    'headers["kind"] == "first"': false,
    'has(headers.kind) && !("other" in headers)': true,
    'json.level == "error" && json.n > 4': true,
    "json.inner.id == 7": true,
    'json.tags.exists(tag, tag == "b")': true,
    'json.tags == ["a", "b"] && size(json.tags) == 2': true,
    "json.inner.none == null && has(json.inner.id)": true,
    'text.contains("error") && text.matches("err.r")': true,
    "size(value) > 90": true,
    "offset == 7": true,
    'time == timestamp("2026-01-01T00:00:01Z")': true,
    "time.getFullYear() == 2026": true,
    true: true,
    false: false,
  };
  for (const [condition, matches] of Object.entries(expected))
    assert.equal(verdict(condition), matches, condition);
});

test("an evaluation that ends in an error does not match, unless the other side decides", () => {
  const noJson = { value: Buffer.from("plain"), key: Buffer.from("k") };
  assert.equal(verdict("json.n == 1", noJson), false);
  assert.equal(verdict("!(json.n == 1)", noJson), false);
  assert.equal(verdict('json.n == 1 || key == "k"', noJson), true);
  assert.equal(verdict("json.nothing == 1"), false);
  assert.equal(verdict('json.n == 1 || json.n.startsWith("x")'), false);
  assert.equal(verdict("json.level"), false, "a text is no condition");
  assert.equal(verdict('headers.missing == "x"'), false);
  assert.equal(verdict('!(headers.missing == "x")'), false);
});

test("conditions about key, headers and offset are decided on the bytes of a record", () => {
  for (const condition of ['key == "a"', 'key.startsWith("a") || !(headers.b == "c")', "3 < offset", "true"])
    assert.equal(compileFilter(condition).isOnBytes, true, condition);
  for (const condition of ["key == text", 'key == "\ufffd"', "json.n == 1", 'key.contains("a")'])
    assert.equal(compileFilter(condition).isOnBytes, false, condition);
});

test("conditions on bytes agree with the library, for bytes that are not UTF-8 too", () => {
  const random = prng("conditions on bytes");
  let matching = 0;
  for (let round = 0; round < 1_500; round++) {
    const condition = randomByteCondition(random);
    const record = randomRecord(random);
    const offset = random.between(0, 40);
    const found = compileFilter(condition).matches(recordCursor(record, offset));
    assert.equal(found, libraryFilter(condition)(record, offset, 1), `${condition} round ${round}`);
    if (found === true) matching++;
  }
  assert.ok(matching > 300 && matching < 1_200, `${matching} match`);
});

test("any condition agrees with the library", () => {
  const random = prng("conditions");
  let matching = 0;
  for (let round = 0; round < 1_500; round++) {
    const condition = randomCondition(random);
    const record = randomRecord(random);
    const offset = random.between(0, 40);
    const timestampMs = Date.parse("2026-01-01T00:00:05Z");
    const found = compileFilter(condition).matches(recordCursor(record, offset, timestampMs));
    assert.equal(found, libraryFilter(condition)(record, offset, timestampMs), `${condition} round ${round}`);
    if (found === true) matching++;
  }
  assert.ok(matching > 200, `${matching} match`);
});

test("a cursor with kept records shows these", () => {
  const { frames } = recordCursor({ value: Buffer.from("x") });
  assert.equal(new RecordCursor(frames, 0, []).next(), false);
  assert.equal(encodeRun([order]).count, 1);
});
