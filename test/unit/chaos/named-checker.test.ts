/** For each rule of the checker of named logs there is a history that only this rule rejects. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Append, Change, Failure, Operation } from "../../chaos/history.ts";
import { CommittedCursors } from "../../chaos/named/committed-cursors.ts";
import type { CommittedLog, CommittedLogs } from "../../chaos/named/committed-logs.ts";
import { checkNamed, namedRuleNames } from "../../chaos/named/named-checker.ts";

const logOf = (id: number, name: string, values: readonly string[], more: Partial<CommittedLog> = {}) => ({
  id,
  name,
  records: values.map((value, offset) => ({ offset, value })),
  fork: undefined,
  unknownBelow: 0,
  settledBelow: 0,
  lowest: 0,
  closed: false,
  deleted: false,
  removed: false,
  ...more,
});
const madeOf = (...logs: readonly CommittedLog[]): CommittedLogs => ({
  logs: new Map(logs.map((log) => [log.id, log])),
  cursors: new CommittedCursors(),
  flaws: [],
  settled: { batches: 0, unknown: 0 },
});
const about = { client: "a", log: "x", start: 0, end: 1 } as const;
const acked = (value: string, offset: number, more: Partial<Append> = {}): Append => ({
  ...about,
  op: "append",
  values: [value],
  offset,
  logId: "9-1",
  ...more,
});
const lost: Failure = { kind: "unknown", written: "unknown", message: "" };
const failed = (value: string, failure: Failure, more: Partial<Append> = {}): Append => ({
  ...about,
  op: "append",
  values: [value],
  failure,
  ...more,
});
const change = (kind: Change["change"], more: Partial<Change> = {}): Change => ({
  ...about,
  op: "change",
  change: kind,
  ...more,
});
const deleted = change("delete", { statedId: "9-1" });
const gone: Failure = { kind: "not-found", written: "no", message: "", reason: "NO_SUCH_LOG" };

/** Rule → a history that breaks it, and nothing else. */
const wrong: Readonly<Record<string, readonly [readonly Operation[], CommittedLogs]>> = {
  oneLog: [[failed("v", lost)], madeOf(logOf(1, "x", ["v"]), logOf(2, "x", ["v"]))],
  meant: [[failed("v", lost, { statedId: "9-1" })], madeOf(logOf(1, "x", []), logOf(2, "x", ["v"]))],
  notWrittenAnywhere: [[failed("v", gone)], madeOf(logOf(2, "x", ["v"]))],
  answered: [
    [{ ...about, op: "end", mode: "any", next: 0, statedId: "9-1", logId: "9-2" }],
    madeOf(logOf(1, "x", []), logOf(2, "x", [])),
  ],
  created: [
    [change("create", { logId: "9-1", created: true }), change("create", { logId: "9-1", created: true })],
    madeOf(logOf(1, "x", [])),
  ],
  forked: [
    [change("fork", { logId: "9-2", created: true, source: "y", at: 1 })],
    madeOf(logOf(1, "y", []), logOf(2, "x", [])),
  ],
  deleted: [[deleted, acked("v", 0, { start: 2, end: 3 })], madeOf(logOf(1, "x", ["v"], { deleted: true }))],
  closed: [
    [change("close", { logId: "9-1" }), acked("v", 0, { start: 2, end: 3 })],
    madeOf(logOf(1, "x", ["v"], { closed: true })),
  ],
  sequence: [
    [failed("v", { kind: "out-of-sequence", written: "no", message: "" }, { producer: "p" })],
    madeOf(logOf(1, "x", [])),
  ],
  retained: [[{ ...acked("v", 0), log: "retained/0" }], madeOf(logOf(1, "retained/0", ["v"], { lowest: 1 }))],
  settled: [
    [acked("v", 0), acked("w", 1), change("trim", { logId: "9-1", before: 1, lowest: 1 })],
    madeOf(logOf(1, "x", ["v", "w"], { lowest: 1, settledBelow: 2 })),
  ],
  unasked: [[acked("v", 0)], madeOf(logOf(1, "x", ["v"], { deleted: true }))],
  trimmed: [[change("trim", { logId: "9-1", before: 3, lowest: 3 })], madeOf(logOf(1, "x", []))],
  denied: [
    [acked("v", 0), { ...about, op: "read", mode: "session", offset: 0, failure: gone, start: 2, end: 3 }],
    madeOf(logOf(1, "x", ["v"])),
  ],
};

test("every rule has a history that breaks it", () => {
  assert.deepEqual(Object.keys(wrong).sort(), [...namedRuleNames].sort());
});

for (const [rule, [operations, logs]] of Object.entries(wrong)) {
  test(`a history of named logs that breaks the rule ${rule} is rejected by this rule`, () => {
    const rules = new Set(checkNamed(operations, logs).map((violation) => violation.rule));
    // A record in the wrong log also breaks rules of the single logs.
    const single = { meant: [], oneLog: ["invented"], notWrittenAnywhere: ["notWritten"] }[rule] ?? [];
    assert.deepEqual([...rules].sort(), [rule, ...single].sort());
  });
}

test("the rules of one log hold for each named log", () => {
  const rules = checkNamed([acked("v", 0), acked("w", 1)], madeOf(logOf(1, "x", ["v"])));
  assert.deepEqual(
    rules.map(({ rule }) => rule),
    ["acked"],
  );
});

test("a correct history of a log that is created, closed, trimmed and deleted, and of the next one, has no violations", () => {
  const operations: Operation[] = [
    change("create", { logId: "9-1", created: true }),
    acked("v", 0, { producer: "p" }),
    failed("w", lost, { statedId: "9-1" }),
    change("trim", { logId: "9-1", before: 1, lowest: 1 }),
    change("close", { logId: "9-1", start: 3, end: 4 }),
    { ...deleted, start: 5, end: 6 },
    { ...about, op: "end", mode: "session", next: 2, logId: "9-1", start: 7, end: 8 },
    failed("u", gone, { start: 7, end: 8 }),
    change("create", { logId: "9-2", created: true, start: 9, end: 9 }),
    acked("t", 0, { logId: "9-2", start: 10, end: 11 }),
    { ...about, op: "tail", client: "t", from: 0, logId: "9-2", start: 12, end: 12 },
    { ...about, op: "shown", client: "t", offset: 0, values: ["t"], logId: "9-2", start: 13, end: 13 },
  ];
  const first = logOf(1, "x", ["v", "w"], { lowest: 1, closed: true, deleted: true });
  assert.deepEqual(checkNamed(operations, madeOf(first, logOf(2, "x", ["t"]))), []);
});

test("a fork shows the records of its source, and none that no client appended there", () => {
  const source = logOf(1, "y", ["v", "w"], { deleted: true });
  const fork = { source, lowest: 0, next: 1 };
  const operations: Operation[] = [
    { ...acked("v", 0), log: "y" },
    { ...acked("w", 1), log: "y" },
    change("fork", { logId: "9-2", created: true, source: "y", at: 1 }),
    { ...deleted, log: "y" },
    { ...about, op: "read", mode: "any", offset: 0, value: "v", logId: "9-2", start: 2, end: 3 },
    acked("u", 1, { logId: "9-2", start: 4, end: 5 }),
  ];
  assert.deepEqual(checkNamed(operations, madeOf(source, logOf(2, "x", ["v", "u"], { fork }))), []);
  const rulesOf = (values: readonly string[]): readonly string[] =>
    checkNamed(operations, madeOf(source, logOf(2, "x", values, { fork }))).map(({ rule }) => rule);
  assert.deepEqual(rulesOf(["t", "u"]), ["committed"]);
  assert.deepEqual(rulesOf(["v", "t", "u"]), ["acked", "invented"]);
});

test("records that no file has any more break no rule, and those after them are checked", () => {
  const settled = [{ offset: 0, value: "settled 5 0" }];
  const trims = [change("trim", { logId: "9-1", before: 1, lowest: 1 })];
  const about = { unknownBelow: 1, settledBelow: 1, lowest: 1 };
  const emptied = logOf(1, "x", [], { ...about, records: settled });
  assert.deepEqual(checkNamed([acked("v", 0), ...trims], madeOf(emptied)), []);
  const followed = { ...emptied, records: [...settled, { offset: 1, value: "w" }] };
  const rules = checkNamed([acked("v", 0), acked("u", 1), ...trims], madeOf(followed)).map(
    ({ rule }) => rule,
  );
  assert.deepEqual(rules, ["acked", "invented"]);
});
