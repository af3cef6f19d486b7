import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DeficitRoundRobin, type WaitingFlow } from "../../../../src/log/append/deficit-round-robin.ts";

fc.configureGlobal({ seed: 20261130 });

interface Unit {
  readonly flow: string;
  readonly number: number;
  readonly bytes: number;
}

class Flow implements WaitingFlow<Unit> {
  readonly name: string;
  deficit = 0;
  readonly units: Unit[] = [];
  #added = 0;
  constructor(name: string) {
    this.name = name;
  }
  add(bytes: number): void {
    this.units.push({ flow: this.name, number: this.#added++, bytes });
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

test("flows that always wait get the same bytes, whatever the size of their units", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 60 }),
      (sizes, budget, takes) => {
        const turns = new DeficitRoundRobin<Unit, Flow>(quantum);
        const flows = sizes.map((_size, at) => new Flow(String(at)));
        const got = new Map(flows.map(({ name }) => [name, 0]));
        for (let take = 0; take < takes; take++) {
          for (const [at, flow] of flows.entries()) {
            while (sum(flow.units) < 3_000) flow.add(sizes[at]!);
            turns.waits(flow);
          }
          for (const units of turns.take(budget)) {
            got.set(units[0]!.flow, got.get(units[0]!.flow)! + sum(units));
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

test("each unit is taken once, in the order of its flow, and those of one flow together", () => {
  const additions = fc.array(
    fc.record({
      flow: fc.integer({ min: 0, max: 5 }),
      bytes: fc.integer({ min: 1, max: 500 }),
      take: fc.boolean(),
    }),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(additions, fc.integer({ min: 1, max: 1_500 }), (additions, budget) => {
      const turns = new DeficitRoundRobin<Unit, Flow>(quantum);
      const flows = Array.from({ length: 6 }, (_, at) => new Flow(String(at)));
      const next = new Map<string, number>();
      const take = (): number => {
        const taken = [...turns.take(budget)];
        const names = taken.map((units) => units[0]!.flow);
        assert.equal(new Set(names).size, names.length, "a flow comes twice");
        for (const units of taken) {
          for (const { flow, number } of units) {
            assert.equal(flow, units[0]!.flow);
            assert.equal(number, next.get(flow) ?? 0);
            next.set(flow, number + 1);
          }
        }
        const all = taken.flat();
        assert.ok(all.length <= 1 || sum(all) <= budget, "more than the budget");
        return all.length;
      };
      for (const { flow, bytes, take: isTaken } of additions) {
        flows[flow]!.add(bytes);
        turns.waits(flows[flow]!);
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

test("a flow that begins to wait comes after the turn of the other one, and has no credit from before", () => {
  const turns = new DeficitRoundRobin<Unit, Flow>(quantum);
  const [old, late] = [new Flow("old"), new Flow("late")];
  for (let unit = 0; unit < 6; unit++) old.add(60);
  turns.waits(old);
  turns.take(60);
  late.add(60);
  turns.waits(late);
  const order = Array.from({ length: 6 }, () => [...turns.take(60)].flat()[0]!.flow);
  assert.deepEqual(order, ["old", "old", "late", "old", "old", "old"]);
  assert.deepEqual([old.deficit, late.deficit, turns.size], [0, 0, 0]);
});
