/** Evaluations that would take long end as "too-costly", by a count of their work and not by the clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileFilter } from "../../../src/filter/mod.ts";
import { recordCursor } from "../../support/filter/record-cursor.ts";

const mib = 2 ** 20 - 100;
const values = {
  fewer: JSON.stringify(Array.from({ length: 10_000 }, (_, at) => at)),
  a: "a".repeat(mib),
  ab: "ab".repeat(mib / 2),
  objects: JSON.stringify(Array.from({ length: 3_000 }, (_, at) => ({ a: at, b: `x${at}` }))),
  arrays: `[${"[],".repeat(300_000)}1]`,
  deep: `${"[".repeat(50_000)}${"]".repeat(50_000)}`,
  members: JSON.stringify(Object.fromEntries(Array.from({ length: 60_000 }, (_, at) => [`k${at}`, 1]))),
  text: JSON.stringify("x".repeat(mib - 10)),
  digits: "9".repeat(mib),
  needle: JSON.stringify({ t: "a".repeat(500_000), p: `${"a".repeat(500)}b${"a".repeat(500)}` }),
};
const ten = "[1,2,3,4,5,6,7,8,9,10]";
const tooCostly: readonly (readonly [string, keyof typeof values])[] = [
  [`${ten}.all(a, ${ten}.all(b, ${ten}.all(c, ${ten}.all(d, true))))`, "digits"],
  ["json.all(x, json.all(y, x == y || true))", "fewer"],
  ["json.all(x, json.exists(y, true))", "fewer"],
  ["json.all(x, x in json)", "fewer"],
  ["json.map(x, x).size() > 0", "fewer"],
  ["json.map(x, json).size() > 0", "objects"],
  ["json.filter(x, true).filter(x, true).filter(x, true).size() > 0", "fewer"],
  ['json.all(x, time.getHours("Europe/Berlin") >= 0)', "fewer"],
  ['json.all(x, string(value) != "a")', "fewer"],
  ['json.all(x, text.contains("zzz") || true)', "fewer"],
  ["json.t.contains(json.p)", "needle"],
  ["json == 1", "arrays"],
  ["json == 1", "members"],
  ["json == 1", "deep"],
  ['text.matches("[^x]{100}[yz]")', "ab"],
  ['text.matches("\\\\b[cd]\\\\b")', "ab"],
  ['text.matches("(?i)error")', "a"],
];

test("an evaluation that would take long ends, with every value and again", () => {
  for (const [condition, name] of tooCostly) {
    const filter = compileFilter(condition);
    for (let time = 0; time < 2; time++) {
      const found = filter.matches(recordCursor({ value: Buffer.from(values[name]) }));
      assert.equal(found, "too-costly", `${condition} of ${name}`);
    }
    const small = filter.matches(recordCursor({ value: Buffer.from("[]") }));
    assert.equal(small === "too-costly", condition.startsWith(ten), `${condition} of []`);
  }
});

test("ordinary conditions about large values have a result", () => {
  const results: readonly (readonly [string, keyof typeof values, boolean])[] = [
    ['text.contains("zzz")', "a", false],
    ['text.startsWith("aaa") && text.endsWith("aaa")', "a", true],
    ['text.matches("ab.*x$")', "a", false],
    ["size(text) > 1000000", "a", true],
    ["size(json) > 1000000", "text", true],
    ["json.exists(x, x == 10.0)", "fewer", true],
    ["json[9999] == 9999", "fewer", true],
    ["int(text) > 1", "digits", false],
    ["text == string(value)", "a", true],
  ];
  for (const [condition, name, expected] of results) {
    const found = compileFilter(condition).matches(recordCursor({ value: Buffer.from(values[name]) }));
    assert.equal(found, expected, `${condition} of ${name}`);
  }
});

test("patterns that take other engines exponential time have a result", () => {
  const patterns = ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)(.*)(.*)x$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"];
  for (const pattern of patterns) {
    const filter = compileFilter(`text.matches(${JSON.stringify(pattern)})`);
    const found = filter.matches(recordCursor({ value: Buffer.from(`${"a".repeat(2_000)}!`) }));
    assert.equal(found, new RegExp(pattern, "u").test("aa!") && false, pattern);
  }
});

test("a pattern forgets its states when there are too many, and its results stay right", () => {
  const filter = compileFilter('text.matches("(a|b)*a(a|b){9}c")');
  for (let round = 0; round < 400; round++) {
    const bits = (round * 2_654_435_761) % 4_096;
    const letters = bits.toString(2).padStart(12, "0").replaceAll("0", "a").replaceAll("1", "b");
    const expected = letters[2] === "a";
    assert.equal(filter.matches(recordCursor({ value: Buffer.from(`${letters}c`) })), expected, letters);
  }
});
