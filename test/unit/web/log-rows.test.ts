import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareNames } from "../../../src/lib/names/name-order.ts";
import { LogRows, type LogSeen, rowOf } from "../../../web/src/core/log-rows.ts";

const seen = (name: string, next = 0, id = name): LogSeen => ({
  name,
  id,
  lowest: 0,
  next,
  bytes: next * 10,
  createdMs: 1,
  lastMs: 0,
  closed: false,
  settings: {
    retentionBytes: undefined,
    retentionAgeMs: undefined,
    maxBytes: undefined,
    recordBytesMax: undefined,
    ttlMs: undefined,
    expiresAtMs: undefined,
    contentType: undefined,
  },
});
const namesOf = (rows: LogRows): string[] =>
  Array.from({ length: rows.count }, (_, at) => rows.at(at)?.name ?? "");

/** Answers like ListLogs. */
function page(all: readonly string[], after: string, limit: number): [LogSeen[], string] {
  const found = all.toSorted(compareNames).filter((name) => compareNames(name, after) > 0);
  const logs = found.slice(0, limit);
  return [logs.map((name) => seen(name)), found.length > limit ? (logs.at(-1) as string) : ""];
}

test("pages extend the list in the order of bytes until all logs are loaded", () => {
  const all = ["b", "a", "é", "\u{1f600}", "\uffee", "a/b"];
  const rows = new LogRows();
  for (let turn = 0; rows.loadedTo !== undefined && turn < 10; turn++) {
    const after = rows.loadedTo;
    rows.take(after, ...page(all, after, 2), 0);
  }
  assert.equal(rows.loadedTo, undefined);
  assert.deepEqual(namesOf(rows), ["a", "a/b", "b", "é", "\uffee", "\u{1f600}"]);
});

test("an empty page with a next name moves on, and a page that would leave a gap is ignored", () => {
  const rows = new LogRows();
  rows.take("", [], "m", 0);
  assert.equal(rows.loadedTo, "m");
  rows.take("p", [seen("q")], "", 0);
  assert.deepEqual([namesOf(rows), rows.loadedTo], [[], "m"]);
  rows.take("m", [seen("n")], "", 0);
  assert.deepEqual([namesOf(rows), rows.loadedTo], [["n"], undefined]);
});

test("a page of visible rows shows what was created and deleted between its ends, and leaves the rest", () => {
  const rows = new LogRows();
  rows.take(
    "",
    ["a", "c", "e", "g"].map((name) => seen(name)),
    "g",
    0,
  );
  rows.take("a", [seen("b"), seen("e", 5)], "e", 2000);
  assert.deepEqual(namesOf(rows), ["a", "b", "e", "g"]);
  assert.equal(rows.loadedTo, "g");
  rows.take("e", [], "", 2000);
  assert.deepEqual([namesOf(rows), rows.loadedTo], [["a", "b", "e"], undefined]);
});

test("a list that was complete has a next page again if logs were added behind its end", () => {
  const rows = new LogRows();
  rows.take("", [seen("a"), seen("b")], "", 0);
  rows.take("", [seen("a"), seen("b")], "b", 1000);
  assert.equal(rows.loadedTo, "b");
  rows.take("", [seen("a")], "a", 2000);
  assert.equal(rows.loadedTo, "b");
});

test("any order of pages and changes ends with the logs that exist", () => {
  const name = fc.constantFrom(..."abcdefghij");
  const step = fc.record({
    name,
    create: fc.boolean(),
    at: fc.nat(9),
    limit: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const all = new Set<string>();
      const rows = new LogRows();
      for (const { name: changed, create, at, limit } of steps) {
        if (create) all.add(changed);
        else all.delete(changed);
        const after = rows.at(at)?.name ?? "";
        rows.take(after, ...page([...all], after, limit), 0);
      }
      for (let after: string | undefined = "", turn = 0; after !== undefined && turn < 20; turn++) {
        const [logs, next] = page([...all], after, 3);
        rows.take(after, logs, next, 0);
        after = next === "" ? undefined : next;
      }
      assert.deepEqual(namesOf(rows), [...all].sort());
      assert.equal(rows.loadedTo, undefined);
    }),
    { seed: 7, numRuns: 500 },
  );
});

test("the rate comes from two pages with the same log", () => {
  const first = rowOf(seen("a", 100), undefined, 1000);
  assert.equal(first.perSecond, undefined);
  assert.equal(rowOf(seen("a", 300), first, 3000).perSecond, 100);
  assert.equal(rowOf(seen("a", 300, "another log"), first, 3000).perSecond, undefined);
  assert.equal(rowOf(seen("a", 300), first, 60_000).perSecond, undefined, "the row was not visible");
  const soon = rowOf({ ...seen("a", 101), closed: true }, first, 1010);
  assert.deepEqual([soon.seenMs, soon.next, soon.closed], [1000, 100, true]);
});

test("a log that was changed here is replaced or added if its place is loaded", () => {
  const rows = new LogRows();
  rows.take("", [seen("a"), seen("c")], "c", 0);
  rows.put(seen("b"), 0);
  rows.put({ ...seen("a"), closed: true }, 0);
  rows.put(seen("z"), 0);
  assert.deepEqual(namesOf(rows), ["a", "b", "c"]);
  assert.equal(rows.get("a")?.closed, true);
  rows.drop("b");
  rows.drop("none");
  assert.deepEqual(namesOf(rows), ["a", "c"]);
  assert.equal(rows.get("b"), undefined);
});
