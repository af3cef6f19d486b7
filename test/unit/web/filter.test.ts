import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { RecordSchema } from "../../../src/gen/log/v1/log_pb.js";
import { compileFilter, type FilterMode } from "../../../web/src/core/filter.ts";
import { matchesPath, parsePathQuery } from "../../../web/src/core/json-path.ts";
import { Matches } from "../../../web/src/core/matches.ts";

const record = (value: string, key = "", header = ""): Uint8Array =>
  toBinary(
    RecordSchema,
    create(RecordSchema, {
      value: Buffer.from(value),
      key: Buffer.from(key),
      headers: header === "" ? [] : [{ key: header, value: Buffer.from("v") }],
    }),
  );

function marks(mode: FilterMode, query: string, found: Uint8Array) {
  const filter = compileFilter({ mode, query, format: "auto" });
  assert.equal(typeof filter, "function", String(filter));
  return (filter as (record: Uint8Array) => unknown)(found);
}

test("a substring is found and marked in the line, ignoring case unless the query has a capital", () => {
  assert.deepEqual(marks("text", "err", record("an Error, an ERR")), [
    [3, 6],
    [13, 16],
  ]);
  assert.deepEqual(marks("text", "Err", record("an Error, an ERR")), [[3, 6]]);
  assert.equal(marks("text", "none", record("an Error")), undefined);
  assert.deepEqual(marks("text", "a.c", record("abc a.c")), [[4, 7]]);
});

test("keys, headers and the far end of a long value match, too, without marks", () => {
  assert.deepEqual(marks("text", "order-7", record("x", "order-7")), []);
  assert.deepEqual(marks("text", "traceparent", record("x", "", "traceparent")), []);
  assert.deepEqual(marks("text", "needle", record(`${"hay ".repeat(5000)}needle`)), []);
});

test("a regular expression takes flags between slashes, and a wrong one is explained", () => {
  assert.deepEqual(marks("regex", "^\\d+", record("42 is it")), [[0, 2]]);
  assert.deepEqual(marks("regex", "/IS/i", record("42 is it")), [[3, 5]]);
  assert.deepEqual(marks("regex", "x*", record("abc")), [], "an empty match passes and marks nothing");
  assert.match(String(compileFilter({ mode: "regex", query: "(", format: "auto" })), /group/i);
});

test("a JSON path asks for presence or compares, and never matches what is not JSON", () => {
  const order = record('{"level":"error","items":[{"sku":"A","n":2},{"sku":"B","n":9}],"ok":false,"a b":1}');
  const yes = [
    "$.level",
    "level = error",
    '$.level == "error"',
    "$.items[1].sku = B",
    "$.items[*].n > 5",
    "$.ok = false",
    '$["a b"] = 1',
    "$.level ~ ERR",
    "$.level != info",
    "$.items.*.n <= 2",
  ];
  const no = [
    "$.missing",
    "$.level = info",
    "$.items[2]",
    "$.items[*].n > 9",
    "$.ok = true",
    "$.level.deeper",
  ];
  for (const query of yes) assert.deepEqual(marks("path", query, order), [], query);
  for (const query of no) assert.equal(marks("path", query, order), undefined, query);
  assert.equal(marks("path", "$.level", record("level")), undefined);
});

test("a wrong path is explained", () => {
  for (const query of ["", "$", "$.a =", "$..a", "$.a & 1", "$.a[-1]"]) {
    assert.equal(typeof parsePathQuery(query), "string", query);
  }
});

test("a path of stars over a wide value is bounded", () => {
  const wide = Array.from({ length: 2000 }, () => Array.from({ length: 2000 }, () => 0));
  const query = parsePathQuery("$[*][*] = 1");
  assert.ok(typeof query !== "string");
  assert.equal(matchesPath(wide, query), false);
});

test("inherited names are not part of a value", () => {
  assert.equal(marks("path", "$.constructor", record("{}")), undefined);
  assert.equal(marks("path", "$.__proto__", record("{}")), undefined);
});

test("matches leave at the front in order, and the index of an offset is found", () => {
  const matches = new Matches();
  for (let offset = 0; offset < 30_000; offset += 3) matches.add(offset);
  assert.equal(matches.dropBefore(20_000), 6_667);
  assert.deepEqual([matches.at(0), matches.count, matches.dropped], [20_001, 3_333, 6_667]);
  assert.equal(matches.lowerBound(20_005), 2);
  assert.equal(matches.lowerBound(99_999), 3_333);
  matches.add(30_000);
  assert.equal(matches.at(3_333), 30_000);
});
