import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { SortedNames } from "../../../../src/log/state/sorted-names.ts";
import { byBytes, names, points } from "../../../support/log/name-samples.ts";

function sortedOf(all: Iterable<string>): SortedNames {
  const sorted = new SortedNames();
  for (const name of all) sorted.add(name);
  return sorted;
}

test("pages agree with a filtered list, for random names, prefixes and places", () => {
  const random = prng("names");
  const sorted = sortedOf(names.slice(0, 20));
  const known = new Set(names.slice(0, 20));
  for (let step = 0; step < 2000; step++) {
    const name = random.pick(names);
    if (random.chance(0.1) && !known.has(name)) {
      sorted.add(name);
      known.add(name);
    } else if (random.chance(0.03)) {
      sorted.remove(name);
      known.delete(name);
    }
    const [prefix, after] = [random.pick(points), random.pick([...points, ...names])];
    const limit = random.between(0, 5);
    const expected = [...known]
      .sort(byBytes)
      .filter((one) => one.startsWith(prefix) && byBytes(one, after) > 0)
      .slice(0, limit);
    assert.deepEqual(sorted.from(prefix, after).take(limit).toArray(), expected, `${prefix} ${after}`);
  }
});

test("many names are in order, and those that are removed are gone", () => {
  const random = prng("many");
  const many = Array.from({ length: 3000 }, (_, n) => `${random.between(0, 1_000_000)}/${n}`);
  const sorted = sortedOf(many);
  assert.deepEqual([...sorted.from("", "")], many.toSorted(byBytes));
  for (const name of many.slice(100)) sorted.remove(name);
  assert.deepEqual([...sorted.from("", "")], many.slice(0, 100).sort(byBytes));
  for (const name of many) sorted.remove(name);
  assert.deepEqual([...sorted.from("", "")], []);
});

test("a change moves the names of one piece, and not all names", (t) => {
  const sorted = sortedOf(Array.from({ length: 20_000 }, (_, n) => `log ${2 * n}`));
  let moved = 0;
  const { sort, splice } = Array.prototype;
  t.after(() => Object.assign(Array.prototype, { sort, splice }));
  Array.prototype.splice = function (this: unknown[], ...how: Parameters<typeof splice>) {
    moved = Math.max(moved, this.length);
    return splice.apply(this, how);
  };
  Array.prototype.sort = () => assert.fail("all names are put in order again");
  for (let n = 0; n < 2_000; n++) sorted.add(`log ${2 * n + 1}`);
  for (let n = 0; n < 2_000; n++) sorted.remove(`log ${2 * n}`);
  Object.assign(Array.prototype, { sort, splice });
  assert.ok(moved > 0 && moved <= 513, `${moved} names`);
});
