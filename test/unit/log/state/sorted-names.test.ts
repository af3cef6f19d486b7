import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { SortedNames } from "../../../../src/log/state/sorted-names.ts";
import { byBytes, names, points } from "../../../support/log/name-samples.ts";

test("pages agree with a filtered list, for random names, prefixes and places", () => {
  const random = prng("names");
  const sorted = new SortedNames(names.slice(0, 20));
  const known = new Set(names.slice(0, 20));
  for (let step = 0; step < 2000; step++) {
    const name = random.pick(names);
    if (random.chance(0.1) && !known.has(name)) {
      sorted.add(name);
      known.add(name);
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

test("many names are put in order in between", () => {
  const random = prng("many");
  const many = Array.from({ length: 3000 }, (_, n) => `${random.between(0, 1_000_000)}/${n}`);
  const sorted = new SortedNames([]);
  for (const name of many) sorted.add(name);
  assert.deepEqual([...sorted.from("", "")], many.toSorted(byBytes));
});
