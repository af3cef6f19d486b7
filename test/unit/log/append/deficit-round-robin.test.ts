import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DeficitRoundRobin, type WaitingLane } from "../../../../src/log/append/deficit-round-robin.ts";

fc.configureGlobal({ seed: 20261130 });

interface Unit {
  readonly lane: string;
  readonly number: number;
  readonly bytes: number;
}

class Lane implements WaitingLane<Unit> {
  readonly name: string;
  deficit = 0;
  readonly units: Unit[] = [];
  #added = 0;
  constructor(name: string) {
    this.name = name;
  }
  add(bytes: number): void {
    this.units.push({ lane: this.name, number: this.#added++, bytes });
  }
  firstBytes(): number | undefined {
    return this.units[0]?.bytes;
  }
  takeFirst(): Unit {
    return this.units.shift()!;
  }
}

const quantum = 100;
const sum = (units: readonly Unit[]): number => units.reduce((total, { bytes }) => total + bytes, 0);

test("lanes that always wait get the same bytes, whatever the size of their units", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 60 }),
      (sizes, budget, takes) => {
        const turns = new DeficitRoundRobin<Unit, Lane>(quantum);
        const lanes = sizes.map((_size, at) => new Lane(String(at)));
        const got = new Map(lanes.map(({ name }) => [name, 0]));
        for (let take = 0; take < takes; take++) {
          for (const [at, lane] of lanes.entries()) {
            while (sum(lane.units) < 3_000) lane.add(sizes[at]!);
            turns.waits(lane);
          }
          for (const units of turns.take(budget)) {
            got.set(units[0]!.lane, got.get(units[0]!.lane)! + sum(units));
          }
          const bytes = [...got.values()];
          assert.ok(
            Math.max(...bytes) - Math.min(...bytes) <= 2 * quantum + 2 * Math.max(...sizes),
            String(bytes),
          );
        }
      },
    ),
  );
});

test("each unit is taken once, in the order of its lane, and those of one lane together", () => {
  const additions = fc.array(
    fc.record({
      lane: fc.integer({ min: 0, max: 5 }),
      bytes: fc.integer({ min: 1, max: 500 }),
      take: fc.boolean(),
    }),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(additions, fc.integer({ min: 1, max: 1_500 }), (additions, budget) => {
      const turns = new DeficitRoundRobin<Unit, Lane>(quantum);
      const lanes = Array.from({ length: 6 }, (_, at) => new Lane(String(at)));
      const next = new Map<string, number>();
      const take = (): number => {
        const taken = [...turns.take(budget)];
        const names = taken.map((units) => units[0]!.lane);
        assert.equal(new Set(names).size, names.length, "a lane comes twice");
        for (const units of taken) {
          for (const { lane, number } of units) {
            assert.equal(lane, units[0]!.lane);
            assert.equal(number, next.get(lane) ?? 0);
            next.set(lane, number + 1);
          }
        }
        const all = taken.flat();
        assert.ok(all.length <= 1 || sum(all) <= budget, "more than the budget");
        return all.length;
      };
      for (const { lane, bytes, take: isTaken } of additions) {
        lanes[lane]!.add(bytes);
        turns.waits(lanes[lane]!);
        if (isTaken) assert.ok(take() > 0);
      }
      while (turns.size > 0) assert.ok(take() > 0, "nothing is taken while something waits");
      assert.equal(
        [...next.values()].reduce((total, count) => total + count, 0),
        additions.length,
      );
      assert.equal(take(), 0);
    }),
  );
});

test("a lane that begins to wait comes after the turn of the other one, and has no credit from before", () => {
  const turns = new DeficitRoundRobin<Unit, Lane>(quantum);
  const [old, late] = [new Lane("old"), new Lane("late")];
  for (let unit = 0; unit < 6; unit++) old.add(60);
  turns.waits(old);
  turns.take(60);
  late.add(60);
  turns.waits(late);
  const order = Array.from({ length: 6 }, () => [...turns.take(60)].flat()[0]!.lane);
  assert.deepEqual(order, ["old", "old", "late", "old", "old", "old"]);
  assert.deepEqual([old.deficit, late.deficit, turns.size], [0, 0, 0]);
});
