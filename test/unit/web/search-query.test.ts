import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileFilter } from "../../../src/filter/mod.ts";
import type { RecordParts } from "../../../src/types.ts";
import { FoundRecords } from "../../../web/src/core/found-records.ts";
import { Rate } from "../../../web/src/core/rate.ts";
import { conditionOf, errorPlace, type SearchKind } from "../../../web/src/core/search-query.ts";
import { recordCursor } from "../../support/filter/record-cursor.ts";

/** What the server makes of a query. */
function isFound(kind: SearchKind, query: string, record: Partial<RecordParts>): boolean {
  return compileFilter(conditionOf(kind, query)).matches(recordCursor(record)) === true;
}
const record = (value: string, key = "", ...headers: readonly (readonly [string, string])[]) => ({
  value: Buffer.from(value),
  key: Buffer.from(key),
  headers: headers.map(([name, text]) => ({ key: name, value: Buffer.from(text) })),
});

test("a text is found in value and key; in lower case it ignores case", () => {
  const order = record('{"level":"Error","n":1}', "Shop/7");
  assert.ok(isFound("text", '"level":"Error"', order));
  assert.ok(isFound("text", "error", order));
  assert.ok(isFound("text", "shop/7", order));
  assert.ok(!isFound("text", "ERROR", order));
  assert.ok(!isFound("text", "warning", order));
  assert.match(conditionOf("text", "12345"), /contains/, "digits need no regular expression");
  const long = "ab".repeat(500);
  assert.ok(isFound("text", long, record(long)), "a long text is searched as it is");
});

test("any text finds a record that contains it, whatever its characters mean elsewhere", () => {
  const text = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(text, text, (query, other) => {
      assert.ok(isFound("text", query, record(`${other}${query}`)), "in the value");
      assert.ok(isFound("text", query, record("", `${query}${other}`)), "in the key");
      assert.ok(isFound("key", query, record("", `${query}${other}`)), "begins the key");
      assert.equal(isFound("text", query, record(other)), searched(other, query), "in another text");
    }),
    { seed: 5, numRuns: 100 },
  );
});

function searched(text: string, query: string): boolean {
  const ignoring = query === query.toLowerCase() && query !== query.toUpperCase();
  const escaped = query.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
  return ignoring ? new RegExp(escaped, "iu").test(text) : text.includes(query);
}

test("a header is searched by name, or by name and value", () => {
  const order = record("", "", ["kind", "order"], ["content-type", "a=b: c"]);
  for (const query of ["kind", "kind=order", "kind: order", " kind = order ", "content-type: a=b: c"])
    assert.ok(isFound("header", query, order), query);
  for (const query of ["order", "kind=orders", "kind=", "content-type=a"])
    assert.ok(!isFound("header", query, order), query);
});

test("a regular expression has flags, or ignores case if it is in lower case", () => {
  assert.ok(isFound("regex", "err.r", record("ERROR")));
  assert.ok(!isFound("regex", "Err.r", record("ERROR")));
  assert.ok(!isFound("regex", "/err.r/", record("ERROR")));
  assert.ok(isFound("regex", "/err.r/iu", record("ERROR")));
  assert.ok(isFound("regex", "^user/[0-9]+$", record("", "user/12")));
});

test("the place of an error is shown with what is around it", () => {
  assert.deepEqual(errorPlace('key = "db"', 4), { before: "key ", at: "=", after: ' "db"' });
  assert.deepEqual(errorPlace("key ==", 6), { before: "key ==", at: "", after: "" });
  assert.deepEqual(errorPlace("x", 99), { before: "x", at: "", after: "" });
  const long = errorPlace(`${"a".repeat(200)}=${"b".repeat(200)}`, 200);
  assert.deepEqual([long.before.length, long.at, long.after.length], [61, "=", 61]);
  assert.equal(errorPlace("a😀b", 1).at, "😀");
});

test("the place that the server states is the one of the error, also after an emoji", () => {
  const wrong = ['key = "db"', 'key == "😀" && text = "x"', 'key == "😀" && nosuch == 1', "json.a..b"];
  for (const condition of wrong) {
    let character: unknown;
    assert.throws(
      () => compileFilter(condition),
      (error: { facts?: { character?: number } }) => {
        character = error.facts?.character;
        return true;
      },
    );
    const { before, at } = errorPlace(condition, character as number);
    assert.match(`${before}»${at}`, /^(?:key »=|key == "😀" && (?:text »=|»n)|json\.a»\.)$/u);
  }
});

test("what is found is kept up to the limits, and counted beyond them", () => {
  const found = new FoundRecords({ recordsMax: 3, bytesMax: 100 });
  for (const offset of [4, 9, 12, 20, 31]) found.add(offset, new Uint8Array([offset]));
  assert.deepEqual([found.count, found.total], [3, 5]);
  assert.deepEqual([...(found.at(9) ?? [])], [9]);
  assert.equal(found.at(10), undefined);
  assert.equal(found.at(20), undefined);
  found.clear();
  found.add(1, new Uint8Array(90));
  found.add(2, new Uint8Array(20));
  found.add(3, new Uint8Array(1));
  assert.deepEqual([found.count, found.total, found.at(3)], [1, 3, undefined], "no gap in what is shown");
});

test("the rate is that of the last five seconds", () => {
  const rate = new Rate();
  assert.equal(rate.perSecond, undefined);
  rate.note(0, 0);
  assert.equal(rate.perSecond, undefined);
  for (let second = 1; second <= 10; second++) rate.note(second * 1000, second * 100);
  assert.equal(rate.perSecond, 100);
  for (let second = 11; second <= 20; second++) rate.note(second * 1000, 1000);
  assert.equal(rate.perSecond, 0);
  rate.clear();
  assert.equal(rate.perSecond, undefined);
});
