import assert from "node:assert/strict";
import { test } from "node:test";
import { checkQueryText } from "../../../../../src/api/http/exchange/query-text.ts";
import { Fault } from "../../../../../src/fault.ts";

test("a query is percent-encoded UTF-8", () => {
  for (const query of [
    "",
    "a",
    "log=a&log=b",
    "log=gr%C3%B6%c3%9fe",
    "log=%F0%9F%98%80%EF%BF%BD",
    "log=100%",
    "log=%zz%4",
    "a=b=c&&d",
    "%C3%B6=%C3%B6",
    "log=%00%7f",
  ])
    assert.doesNotThrow(() => checkQueryText(query), query);
});

test("a query that is not is refused, with the parameter and what was found", () => {
  for (const [query, field, found] of [
    ["log=%ff", "log", "%ff"],
    ["a=1&log=x%C3&b=2", "log", "%C3"],
    ["log=%C3%28", "log", "%C3%28"],
    ["log=%ed%a0%80", "log", "%ed%a0%80"],
    ["log=%f4%90%80%80", "log", "%f4%90%80%80"],
    ["log=%C3&log=%B6", "log", "%C3"],
    ["%ff=a", "a parameter", "%ff"],
    ["log=\u00e9", "log", "the byte 0xE9"],
    ["log=a b", "log", "the byte 0x20"],
  ] as const)
    assert.throws(
      () => checkQueryText(query),
      (fault: unknown) =>
        fault instanceof Fault &&
        fault.kind === "bad-request" &&
        fault.facts.field === field &&
        fault.message === `${field} of the query must be percent-encoded UTF-8, found ${found}`,
      query,
    );
});

test("a long query is checked in little time", () => {
  const query = `log=${"%C3%B6".repeat(100_000)}%ff`;
  assert.throws(() => checkQueryText(query), /found %ff$/);
});
