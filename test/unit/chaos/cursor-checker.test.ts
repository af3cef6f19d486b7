/** For each rule of the checker of cursors there is a history that only this rule rejects. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CursorCall, Failure } from "../../chaos/history.ts";
import { CommittedCursors, type CursorState } from "../../chaos/named/committed-cursors.ts";
import type { CommittedLogs } from "../../chaos/named/committed-logs.ts";
import { checkCursors, cursorRuleNames } from "../../chaos/named/cursor-checker.ts";

const none: CommittedLogs["logs"] = new Map();
const state = (version: number, metadata: string): CursorState => ({
  ...{ index: version, version, offset: 0, metadata },
});
const absent = (index: number): CursorState => ({ index, version: 0, offset: 0, metadata: "" });

/** The cursor "c" of `default` that went through these states. */
function madeOf(...states: readonly CursorState[]): CommittedCursors {
  const cursors = new CommittedCursors();
  cursors.states.set("0/c", [absent(0), ...states]);
  return cursors;
}

const about = { op: "cursor", client: "a", cursor: "c", start: 0, end: 1 } as const;
const commit = (metadata: string, more: Partial<CursorCall> = {}): CursorCall => ({
  ...{ ...about, action: "commit", metadata, offset: 0 },
  ...more,
});
const acked = (metadata: string, version: number, more: Partial<CursorCall> = {}): CursorCall =>
  commit(metadata, { version, shown: metadata, ...more });
const later = { start: 2, end: 3 } as const;
const notWritten: Failure = { kind: "overloaded", written: "no", message: "" };
const mismatch = (found: number): Failure => ({
  ...{ kind: "failed-precondition", written: "no", message: "", found },
  reason: "CURSOR_VERSION_MISMATCH",
});

const idle = madeOf(state(5, "m"), absent(6));
idle.removals.push({ key: "0/c", log: 0, isIdle: true });

/** A rule, and histories that it alone rejects. */
const wrong: readonly (readonly [string, readonly CursorCall[], CommittedCursors])[] = [
  ["committed", [], madeOf(state(5, "m"))],
  ["committed", [commit("m", { failure: notWritten })], madeOf(state(5, "m"))],
  ["committed", [acked("m", 5)], madeOf(state(5, "m"), state(6, "m"))],
  ["compared", [acked("m", 5), acked("n", 6, { expected: 4 })], madeOf(state(5, "m"), state(6, "n"))],
  ["acknowledged", [acked("m", 5)], madeOf()],
  ["acknowledged", [acked("m", 5, { shown: "n" })], madeOf(state(5, "m"))],
  ["acknowledged", [acked("m", 5, later), acked("n", 6)], madeOf(state(5, "m"), state(6, "n"))],
  [
    "read",
    [acked("m", 5), acked("n", 6), { ...about, ...later, action: "get", version: 5, shown: "m" }],
    madeOf(state(5, "m"), state(6, "n")),
  ],
  [
    "refused",
    [acked("m", 5), acked("n", 6), commit("o", { ...later, expected: 4, failure: mismatch(5) })],
    madeOf(state(5, "m"), state(6, "n")),
  ],
  [
    "refused",
    [acked("m", 5), commit("n", { ...later, expected: 5, failure: mismatch(5) })],
    madeOf(state(5, "m")),
  ],
  ["deleted", [acked("m", 5), { ...about, ...later, action: "delete" }], madeOf(state(5, "m"))],
  ["deleted", [acked("m", 5)], idle],
];

for (const [at, [rule, calls, cursors]] of wrong.entries()) {
  test(`history ${at + 1} breaks the rule "${rule}" alone`, () => {
    const found = checkCursors(calls, { cursors, logs: none });
    assert.deepEqual([...new Set(found.map((one) => one.rule))], [rule], JSON.stringify(found));
  });
}

test("there is a history for each rule", () => {
  assert.deepEqual([...new Set(wrong.map(([rule]) => rule))].sort(), [...cursorRuleNames].sort());
});

test("a right history breaks no rule", () => {
  const calls: readonly CursorCall[] = [
    acked("m", 5, { expected: 0 }),
    commit("lost", { failure: { kind: "unknown", written: "unknown", message: "" } }),
    acked("n", 6, { ...later, expected: 5 }),
    commit("o", { ...later, expected: 5, failure: mismatch(6) }),
    { ...about, start: 4, end: 5, action: "get", version: 6, shown: "n" },
    { ...about, start: 6, end: 7, action: "delete", expected: 6 },
    { ...about, start: 8, end: 9, action: "get", version: 0 },
  ];
  const cursors = madeOf(state(5, "m"), state(6, "n"), absent(8));
  cursors.removals.push({ key: "0/c", log: 0, isIdle: false });
  assert.deepEqual(checkCursors(calls, { cursors, logs: none }), []);
});
