/** For each rule of the checker there is a history that only this rule rejects. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { check, ruleNames, type StoredRecord } from "../../chaos/checker.ts";
import type { Append, Failure, Operation } from "../../chaos/history.ts";

const keep = (...values: readonly string[]): StoredRecord[] =>
  values.map((value, offset) => ({ offset, value }));
const acked = (value: string, offset: number, start: number, end = start + 1): Append => ({
  op: "append",
  client: "a",
  values: [value],
  offset,
  start,
  end,
});
const lost: Failure = { kind: "unknown", written: "unknown", message: "" };
const refused: Failure = { kind: "unavailable", written: "no", message: "" };
const missing: Failure = { kind: "out-of-range", written: "no", message: "" };
const failed = (value: string, failure: Failure, start = 0): Append => ({
  op: "append",
  client: "f",
  values: [value],
  failure,
  start,
  end: start + 1,
});
const asked = { client: "r", start: 10, end: 11 } as const;
const shown = (offset: number, ...values: readonly string[]): Operation => ({
  op: "shown",
  client: "t",
  offset,
  values,
  start: 5,
  end: 6,
});
const from = (offset: number): Operation => ({ op: "tail", client: "t", from: offset, start: 4, end: 4 });

/** Rule → a history that breaks it, and nothing else. */
const wrong: Readonly<Record<string, readonly [readonly Operation[], readonly StoredRecord[]]>> = {
  dense: [
    [failed("x", lost), failed("y", lost)],
    [
      { offset: 0, value: "x" },
      { offset: 2, value: "y" },
    ],
  ],
  acked: [[acked("x", 0, 0), acked("y", 1, 0)], keep("x")],
  invented: [[acked("x", 0, 0)], keep("x", "y")],
  once: [[acked("x", 0, 0)], keep("x", "x")],
  notWritten: [[failed("x", refused)], keep("x")],
  atomic: [[{ ...failed("x", lost), values: ["x", "y"] }], keep("x")],
  realTime: [[acked("x", 1, 0, 1), failed("y", lost, 2)], keep("y", "x")],
  committed: [[failed("x", lost), failed("y", lost), from(0), shown(0, "y")], keep("x")],
  tails: [[acked("x", 0, 0), acked("y", 1, 0), from(0), shown(0, "x"), shown(0, "x", "y")], keep("x", "y")],
  producerOrder: [
    [
      { ...failed("x", lost, 0), producer: "p" },
      { ...failed("y", lost, 1), producer: "p" },
    ],
    keep("y", "x"),
  ],
  conditional: [[{ ...failed("x", lost), expectedOffset: 3 }], keep("x")],
  linearizable: [[acked("x", 0, 0), { op: "end", mode: "linearizable", next: 0, ...asked }], keep("x")],
  session: [[acked("x", 0, 0), { op: "end", mode: "session", seen: 0, next: 0, ...asked }], keep("x")],
  bounded: [[acked("x", 0, 0), { op: "end", mode: "bounded", stalenessMs: 5, next: 0, ...asked }], keep("x")],
};

test("every rule has a history that breaks it", () => {
  assert.deepEqual(Object.keys(wrong).sort(), [...ruleNames].sort());
});

for (const [rule, [operations, final]] of Object.entries(wrong)) {
  test(`a history that breaks the rule ${rule} is rejected by this rule only`, () => {
    assert.deepEqual([...new Set(check(operations, final).map((violation) => violation.rule))], [rule]);
  });
}

test("a correct history with every kind of operation has no violations", () => {
  const operations: Operation[] = [
    acked("x", 0, 0),
    { ...acked("y", 1, 2), values: ["y", "z"] },
    { ...acked("v", 4, 5), producer: "p", expectedOffset: 4 },
    failed("u", lost, 2),
    failed("w", lost, 2),
    failed("n", refused, 2),
    from(1),
    shown(1, "y", "z"),
    shown(3, "u"),
    { op: "end", mode: "linearizable", next: 5, ...asked },
    { op: "end", mode: "session", seen: 2, next: 3, ...asked },
    { op: "end", mode: "bounded", stalenessMs: 8, next: 1, ...asked },
    { op: "end", mode: "any", next: 0, ...asked },
    { op: "read", mode: "linearizable", offset: 0, value: "x", ...asked },
    { op: "read", mode: "linearizable", offset: 5, failure: missing, ...asked },
    { op: "read", mode: "session", seen: 0, offset: 4, failure: missing, ...asked },
    { op: "fault", what: "kill n1", ...asked },
  ];
  assert.deepEqual(check(operations, keep("x", "y", "z", "u", "v")), []);
});

test("a changed record is found by the acknowledgment of its append", () => {
  assert.deepEqual(
    check([acked("x", 0, 0), failed("y", lost)], keep("y")).map(({ rule }) => rule),
    ["acked"],
  );
});

test("an append that starts after a reader saw the end is behind that end", () => {
  const operations = [
    failed("x", lost),
    from(0),
    shown(0, "x", "z"),
    failed("z", lost),
    failed("y", lost, 7),
  ];
  const rules = check(operations, keep("y", "x", "z")).map(({ rule }) => rule);
  assert.ok(rules.includes("realTime"));
});

test("a tail that skips records or starts at another offset is found", () => {
  for (const offset of [1, 2]) {
    const operations = [acked("x", 0, 0), acked("y", 1, 0), acked("z", 2, 0), from(0)];
    const rules = check([...operations, shown(offset, ["x", "y", "z"][offset]!)], keep("x", "y", "z")).map(
      ({ rule }) => rule,
    );
    assert.deepEqual(rules, ["tails"]);
  }
});

test("a linearizable read must not miss a record that was shown before", () => {
  const operations: Operation[] = [
    failed("x", lost),
    from(0),
    shown(0, "x"),
    { op: "read", mode: "linearizable", offset: 0, failure: missing, ...asked },
  ];
  assert.deepEqual(
    check(operations, keep("x")).map(({ rule }) => rule),
    ["linearizable"],
  );
});
