import assert from "node:assert/strict";
import { test } from "node:test";
import { prng, systemSeed } from "../../../src/lib/prng.ts";

test("equal seeds give equal numbers, different seeds different ones", () => {
  const draw = (seed: number | string): number[] => {
    const random = prng(seed);
    return Array.from({ length: 50 }, () => random.uint32());
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
});

test("drawing from one stream does not shift another", () => {
  const first = prng(1);
  const second = prng(1);
  first.stream("net").uint32();
  first.uint32();
  assert.equal(first.stream("disk").uint32(), second.stream("disk").uint32());
});

test("random numbers are uniform: each of ten buckets gets a tenth, within five percent", () => {
  const random = prng("spread");
  const buckets = new Array<number>(10).fill(0);
  for (let draw = 0; draw < 100_000; draw++) {
    const at = random.between(0, 9);
    buckets[at] = (buckets[at] ?? 0) + 1;
  }
  for (const count of buckets) assert.ok(count > 9_500 && count < 10_500, String(buckets));
});

test("shuffle keeps every item", () => {
  const items = Array.from({ length: 100 }, (_, at) => at);
  const shuffled = prng(3).shuffle([...items]);
  assert.notDeepEqual(shuffled, items);
  assert.deepEqual(
    shuffled.toSorted((left, right) => left - right),
    items,
  );
});

test("two seeds of the machine differ and have 128 bits", () => {
  const [one, other] = [systemSeed(), systemSeed()];
  assert.match(one, /^[0-9a-f]{32}$/);
  assert.notEqual(one, other);
});
