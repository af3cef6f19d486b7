import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { unionOf } from "../../../../../src/access/name-patterns.ts";
import { type ListPlan, listLogs, rangesFrom } from "../../../../../src/api/methods/logs/list-logs.ts";
import { SortedNames } from "../../../../../src/log/state/sorted-names.ts";
import type { LogCatalog, LogInfo } from "../../../../../src/types.ts";

/** A catalog of these names. It counts the names that it was asked for. */
function catalogOf(names: readonly string[]) {
  const sorted = new SortedNames();
  for (const name of names) sorted.add(name);
  const counted = { looked: 0 };
  const list: LogCatalog["list"] = (prefix, after, limit) => {
    const found = sorted
      .from(prefix, after)
      .take(limit + 1)
      .toArray();
    counted.looked += Math.min(found.length, limit);
    const logs = found.slice(0, limit).map((name) => ({ name }) as LogInfo);
    return { logs, next: found.length > limit ? found[limit - 1] : undefined };
  };
  return Object.assign(counted, { list });
}

const plan = (init: Partial<ListPlan>): ListPlan => ({
  prefix: "",
  after: "",
  limit: 256,
  patterns: ["*"],
  may: () => assert.fail("the patterns are known"),
  turn: () => Promise.resolve(),
  ...init,
});

const allowed = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

test("the pages are the allowed names with the prefix, once each and in the order of their bytes", async () => {
  const letters = fc.constantFrom("a", "b", "/", "🦀", "\uffff");
  const name = fc.string({ unit: letters, minLength: 1, maxLength: 4 });
  const pattern = fc
    .tuple(fc.string({ unit: letters, maxLength: 3 }), fc.constantFrom("", "*"))
    .map((two) => two.join(""));
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { maxLength: 30 }),
      fc.array(pattern, { maxLength: 5 }),
      fc.string({ unit: letters, maxLength: 2 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      async (names, patterns, prefix, limit, known) => {
        const expected = names
          .filter((one) => one.startsWith(prefix) && allowed(one, patterns))
          .sort(compare);
        const rules = known
          ? { patterns: unionOf([patterns, []]) }
          : { patterns: undefined, may: (one: string) => allowed(one, patterns) };
        const found: string[] = [];
        let after: string | undefined = "";
        while (after !== undefined) {
          const page = await listLogs(catalogOf(names), plan({ ...rules, prefix, after, limit }));
          assert.ok(page.logs.length <= limit);
          assert.ok(page.next === undefined || allowed(page.next, patterns), "no other name is told");
          found.push(...page.logs.map((log) => log.name));
          after = page.next;
        }
        assert.deepEqual(found, expected);
      },
    ),
    { seed: 5, numRuns: 300 },
  );
});

test("a caller of few logs walks only over these", async () => {
  const names = Array.from({ length: 5000 }, (_, at) => `a/${at}`);
  const catalog = catalogOf([...names, "z/1", "z/2"]);
  const { logs } = await listLogs(catalog, plan({ patterns: ["a/17", "z/*"] }));
  assert.deepEqual(
    logs.map(({ name }) => name),
    ["a/17", "z/1", "z/2"],
  );
  assert.ok(catalog.looked < 10, String(catalog.looked));
});

test("where the patterns are not known, the event loop has turns in between", async () => {
  const names = Array.from({ length: 1000 }, (_, at) => `a/${at}`);
  let turns = 0;
  const turn = async (): Promise<void> => {
    turns++;
  };
  const may = (name: string): boolean => name === "a/999";
  const { logs } = await listLogs(catalogOf(names), plan({ patterns: undefined, may, turn, limit: 2 }));
  assert.deepEqual(
    logs.map(({ name }) => name),
    ["a/999"],
  );
  assert.ok(turns >= 1000, "a turn for each name");
});

test("a page fetches a few logs in a turn", async () => {
  const names = Array.from({ length: 600 }, (_, n) => `log ${String(n).padStart(3, "0")}`);
  const catalog = catalogOf(names);
  let [fetched, most] = [0, 0];
  const list: typeof catalog.list = (prefix, after, limit) => {
    fetched += limit;
    most = Math.max(most, fetched);
    return catalog.list(prefix, after, limit);
  };
  const turn = async (): Promise<void> => {
    fetched = 0;
  };
  const page = await listLogs({ list }, plan({ patterns: ["*"], turn, limit: 256 }));
  assert.deepEqual([page.logs.length, page.next], [256, "log 255"]);
  assert.ok(most <= 16, `${most} in a turn`);
});

test("each decision that only may() knows has a turn of its own, and each range has one", async () => {
  const names = Array.from({ length: 600 }, (_, at) => `a/${at}`);
  let [turns, decisions] = [0, 0];
  const turn = (): Promise<void> => {
    turns++;
    return Promise.resolve();
  };
  const may = (): boolean => {
    decisions++;
    assert.ok(turns >= decisions, "a decision can take 10 ms");
    return false;
  };
  await listLogs(catalogOf(names), plan({ patterns: undefined, may, turn }));
  assert.equal(decisions, 600);
  turns = 0;
  await listLogs(catalogOf([]), plan({ patterns: unionOf([names, []]), turn }));
  assert.equal(turns, 600);
});

test("ranges do not overlap, and begin where names can come after the last one", () => {
  const ranges = (patterns: string[], prefix: string, after = ""): unknown[] => [
    ...rangesFrom(patterns, prefix, after),
  ];
  const [a, b] = [
    { start: "a", isPrefix: true },
    { start: "b", isPrefix: false },
  ];
  assert.deepEqual(ranges(["a*", "b"], ""), [a, b]);
  assert.deepEqual(ranges(["a*"], "ab"), [{ start: "ab", isPrefix: true }]);
  assert.deepEqual(ranges(["a", "b*"], "c"), []);
  assert.deepEqual(ranges(["a*", "b"], "", "ax"), [a, b]);
  assert.deepEqual(ranges(["a*", "b"], "", "az/\uffff"), [a, b]);
  assert.deepEqual(ranges(["a*", "b", "c"], "", "b"), [b, { start: "c", isPrefix: false }]);
  assert.deepEqual(ranges(["a*", "b", "c"], "a", "a1"), [a]);
});

test("a page looks at a limited number of patterns: it can be empty, and the next one goes on", async () => {
  const patterns = Array.from({ length: 5_000 }, (_, at) => `${1e6 + at}/*`);
  const catalog = catalogOf([`${1e6 + 10}/x`, `${1e6 + 10}/y`, `${1e6 + 4_999}/z`]);
  const found: string[] = [];
  let [after, pages]: [string | undefined, number] = ["", 0];
  while (after !== undefined) {
    let turns = 0;
    const turn = async (): Promise<void> => {
      turns++;
    };
    const page: Awaited<ReturnType<typeof listLogs>> = await listLogs(
      catalog,
      plan({ patterns, after, turn }),
    );
    assert.ok(turns <= 1_024, `${turns} turns`);
    found.push(...page.logs.map(({ name }) => name));
    after = page.next;
    pages++;
  }
  assert.deepEqual(found, [`${1e6 + 10}/x`, `${1e6 + 10}/y`, `${1e6 + 4_999}/z`]);
  assert.equal(pages, 5);
});

test("where the patterns are not known, a page asks for a limited number of names", async () => {
  const names = Array.from({ length: 20_000 }, (_, at) => `${1e6 + at}`);
  const found: string[] = [];
  const may = (name: string): boolean => name === `${1e6 + 9}`;
  const page = await listLogs(catalogOf(names), plan({ patterns: undefined, may }));
  found.push(...page.logs.map(({ name }) => name));
  assert.deepEqual([found, page.next], [[`${1e6 + 9}`], `${1e6 + 9}`]);
  const rest = listLogs(catalogOf(names), plan({ patterns: undefined, may, after: page.next! }));
  await assert.rejects(rest, { kind: "overloaded", message: /state a longer prefix/ });
});
