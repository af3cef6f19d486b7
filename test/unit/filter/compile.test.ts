import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { compileFilter } from "../../../src/filter/mod.ts";

/** Returns what is said about a condition, with the place. */
function refusal(condition: string): string {
  try {
    compileFilter(condition);
  } catch (reason) {
    assert.ok(Fault.from(reason).kind === "bad-request", String(reason));
    const { message, facts } = reason as Fault<"bad-request">;
    assert.equal(facts.field, "filter");
    return `${facts.character ?? "-"} ${message.replace(/^the filter is not valid(?: at character \d+)?: /, "")}`;
  }
  throw new Error(`${condition} is accepted`);
}

test("an expression that is not valid is refused with its place", () => {
  const refused: Readonly<Record<string, RegExp>> = {
    "": /^- it is empty/,
    "  ": /^- it is empty/,
    'key = "a"': /^4 found = but .*; to compare, write ==$/,
    "json.n === 1": /^7 found = but .*; to compare, write ==$/,
    'key == "a" and true': /^11 found a but .*; write &&$/,
    'text like "%a%"': /^5 found l but .*; write text.contains\(\) or text.matches\(\)$/,
    "key constructor 5": /^4 found c but expecting end of input$/,
    'key.startswith("a")': /^3 there is no function "startswith", it is spelled "startsWith"$/,
    'text.CONTAINS("a")': /^4 there is no function "CONTAINS", it is spelled "contains"$/,
    'key == "a': /^7 a text is not closed/,
    '(key == "a"': /^0 "\(" is not closed/,
    'key == "a")': /^10 "\)" closes nothing/,
    "foo == 1": /^0 there is no variable "foo", only key, headers/,
    "[1].all(x, y > 1)": /^11 there is no variable "y"/,
    "text.foo()": /^4 there is no function "foo"$/,
    "text.contains()": /^4 "contains" is not called like this/,
    "text.matches(key)": /^13 the regular expression of matches\(\) must be a literal/,
    'text.matches("(")': /^13 error parsing regexp: missing closing \)/,
    'text.matches("(a{1000}){1000}")': /^13 the regular expression is too large/,
    'text.matches("[ab]{1,400}c")': /^13 the regular expression is too large/,
    "google.protobuf.Struct{}": /^0 messages/,
    "key + text": /^3 it is not a condition/,
    '"a"': /^0 it is not a condition/,
    offset: /^0 it is not a condition/,
    "@step(1)": /^0 /,
    'key == "\\ud800"': /^- surrogate/,
    "\ud800": /^- it is not valid Unicode/,
  };
  for (const [condition, reason] of Object.entries(refused))
    assert.match(refusal(condition), reason, condition);
});

test("a call whose types never fit is refused, with what is meant", () => {
  const refused: Readonly<Record<string, RegExp>> = {
    'value.contains("a")': /^5 bytes has no "contains" with text; the value as text is text/,
    'key == "a" && value == "b"': /^19 bytes and text are never equal; the value as text/,
    'time > "2026-01-31"': /^4 there is no > of a timestamp and text; a time is written timestamp\("/,
    'offset == "5"': /^6 an integer and text are never equal$/,
    "headers.kind == 5": /^13 text and an integer are never equal/,
    "key && true": /^0 && takes conditions, not text/,
    '!headers["a"]': /^8 ! takes conditions, not text/,
    'text.level == "error"': /^4 text has no members; json has/,
    'text.exists(c, c == "a")': /^4 a loop is over a list or a map, not over text/,
    "size(offset) > 1": /^0 there is no "size" of an integer/,
    "key + 1 == key": /^3 there is no \+ of text and an integer/,
    '"a" in key': /^3 there is no in of text and text/,
    'time > timestamp("2026-01-31")':
      /^17 "2026-01-31" is no timestamp; one is written "2026-01-31T12:00:00Z"$/,
    'time - time > duration("1 hour")': /^23 "1 hour" is no duration; one is written "1h30m"$/,
    "json.n + 1 > 5": /^7 numbers of json are doubles, and an integer is not: write 1.0, or int\(json.n\)$/,
    'json["a"][0].b * offset > 5': /^15 numbers of json are doubles/,
  };
  for (const [condition, reason] of Object.entries(refused))
    assert.match(refusal(condition), reason, condition);
  for (const condition of [
    ...[
      "json.items.exists(key, key == 5)",
      "json.n > 5 && json.n + 1.0 < 7.0",
      "offset > 5.5",
      "offset == 5.0",
    ],
    ...['string(value).contains("a")', 'value == b"a"', "value.size() > 3", "size(text) > size(key)"],
    ...["int(json.n) + 1 > 5", "json.items.exists(json, json + 1 == 2)", "timestamp(json.at) > time"],
    ...['time > timestamp("2026-01-31T12:00:00+02:00")', 'duration(text) > duration("1h30m")'],
    ...['time > timestamp("2026-01-31T12:00:00Z") - duration("1h")', 'time.getHours("Europe/Berlin") < 6'],
    ...[
      '"kind" in headers',
      '"a" in ["a", key]',
      "headers.exists(name, name.startsWith('x'))",
      "has(json.a.b)",
    ],
    ...['(json.n > 5 ? key : text) == "a"', "json", "json.a", "type(json.a) == string", "json.a == null"],
    ...["[1, 2].map(x, x * 2)[0] == 2", '{"a": key}.a == "b"', "headers == {}", "json.list[0] == offset"],
  ])
    compileFilter(condition);
});

test("the size of an expression, its nesting and its regular expressions are limited", () => {
  assert.match(refusal(`key == "${"x".repeat(2_048)}"`), /^- it has 2057 bytes, the limit is 2048/);
  assert.match(
    refusal(`${"(".repeat(25)}true${")".repeat(25)}`),
    /^24 brackets are nested more than 24 deep/,
  );
  compileFilter(`${"(".repeat(24)}true${")".repeat(24)}`);
  compileFilter(`text.contains("${"(".repeat(100)}") // ((((((((((((((((((((((((((((((`);
  assert.match(refusal(`${"true ? true : ".repeat(110)} true`), /it is nested more than 100 deep/);
  assert.match(refusal(`${"!".repeat(3)}${"-".repeat(1_000)}1 == 1`), /./);
  const patterns = (count: number): string =>
    Array.from({ length: count }, (_, at) => `text.matches("${at}")`).join(" || ");
  compileFilter(patterns(4));
  assert.match(refusal(patterns(5)), /it has more than 4 regular expressions/);
});

test("hostile expressions are compiled or refused, and never throw anything else", () => {
  const filled = (open: string, middle: string, close: string): string => {
    const times = Math.floor((2_040 - middle.length) / (open.length + close.length));
    return open.repeat(times) + middle + close.repeat(times);
  };
  const parts: readonly (readonly [string, string, string])[] = [
    ...(["(", "[", "{1:", "f(", "a[", "a{b:", "-(", "!(", "has("] as const).flatMap(
      (open): [string, string, string][] => [
        [open, "a", ""],
        [open, "a", open.startsWith("{") || open.endsWith(":") ? "}" : open.includes("[") ? "]" : ")"],
      ],
    ),
    ...(
      [
        "a?b:",
        "a&&",
        "a||",
        "a||b&&",
        "a<",
        "a*",
        "!",
        "-",
        "a.",
        '"',
        "'''",
        "\\",
        "1",
        "//\n",
        "b'",
      ] as const
    ).map((open): [string, string, string] => [open, "a", ""]),
    ["[1].all(x,", "x", ")"],
    ["[1]", "", ".map(x,x)"],
  ];
  for (const [open, middle, close] of parts) {
    const condition = filled(open, middle, close);
    try {
      compileFilter(condition);
    } catch (reason) {
      assert.ok(reason instanceof Fault && reason.kind === "bad-request", `${open}: ${String(reason)}`);
    }
  }
  // Braces that are not closed take the parser of the library half a second, 250 deep.
  assert.match(refusal("{1:".repeat(250)), /nested more than 24 deep/);
});
