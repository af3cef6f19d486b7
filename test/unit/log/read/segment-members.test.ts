import assert from "node:assert/strict";
import { test } from "node:test";
import { findMembers, type MemberRows } from "../../../../src/log/read/segment-members.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";

/** Logs with these names and the ids 1, 2, …, and a segment that holds them all. It counts what is looked up in a turn. */
function logsOf(names: readonly string[]) {
  const rows = names.map((name, k) => ({ id: k + 1, name }) as LogRow);
  const byName = new Map(rows.map((row) => [row.name, row]));
  const sorted = [...names].sort();
  const counts = { turns: 0, looked: 0, mostInTurn: 0, mostListed: 0, segment: 0 };
  let inTurn = 0;
  let listed = 0;
  const look = <T>(found: T): T => {
    counts.looked++;
    counts.mostInTurn = Math.max(counts.mostInTurn, ++inTurn);
    return found;
  };
  const from: MemberRows = {
    row: (id) => look(rows[id - 1]),
    named: (name) => look(byName.get(name)),
    namesFrom: (prefix, after, limit) => {
      const found = sorted.filter((name) => name.startsWith(prefix) && name > after);
      return { names: found.slice(0, limit), next: found.length > limit ? found[limit - 1] : undefined };
    },
  };
  const segment = {
    *logIds() {
      counts.segment++;
      for (const { id } of rows) {
        counts.mostListed = Math.max(counts.mostListed, ++listed);
        yield id;
      }
    },
  };
  const members = (prefix: string): readonly number[] => {
    const steps = findMembers(from, segment, prefix);
    for (;;) {
      const { done, value } = steps.next();
      counts.turns++;
      inTurn = 0;
      listed = 0;
      if (done === true) return [...value.ids].sort((one, other) => one - other);
    }
  };
  return { members, counts };
}

test("one log of many: it is found by its name, and the logs of the segment are not looked at", () => {
  const names = Array.from({ length: 100_000 }, (_, k) => `log ${k}`);
  names[70_000] = "only";
  const { members, counts } = logsOf(names);
  assert.deepEqual(members("only"), [70_001]);
  assert.deepEqual(counts, { turns: 1, looked: 1, mostInTurn: 1, mostListed: 0, segment: 0 });
  assert.deepEqual(members("none"), []);
  assert.deepEqual(members("log 9999"), [10_000, ...Array.from({ length: 10 }, (_, k) => 99_991 + k)]);
});

test("many logs of a prefix are found among those of the segment, some in each turn", () => {
  const names = Array.from({ length: 20_000 }, (_, k) => (k % 2 === 0 ? `a ${k}` : `b ${k}`));
  const { members, counts } = logsOf(names);
  assert.deepEqual(
    members("a"),
    Array.from({ length: 10_000 }, (_, k) => 2 * k + 1),
  );
  assert.ok(counts.mostInTurn <= 64 && counts.turns >= 20_000 / 64, JSON.stringify(counts));
  counts.looked = 0;
  assert.equal(members("").length, 20_000);
  assert.ok(counts.looked <= 2_000, "all names begin with the empty prefix");
});

test("the logs of a segment are listed in turns: so many in each of them", () => {
  const names = Array.from({ length: 100_000 }, (_, k) => `log ${k}`);
  const { members, counts } = logsOf(names);
  assert.equal(members("").length, 100_000);
  assert.ok(counts.mostListed <= 16_384, `${counts.mostListed} in a turn`);
});
