import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import type { NodeState } from "../../../../src/membership/codec/push-pull.ts";
import { type NodeRecord, NodeTable } from "../../../../src/membership/swim/node-table.ts";

const record = (name: string, state: NodeState = "alive", stateChangedMs = 0): NodeRecord => ({
  name,
  at: { host: "10.0.0.1", port: 1 },
  meta: Buffer.alloc(0),
  versions: Buffer.alloc(6),
  incarnation: 1,
  state,
  stateChangedMs,
  suspicion: undefined,
  verified: true,
  trustedUntilMs: 0,
  deathCheck: undefined,
});
const never = (): boolean => false;
const always = (): boolean => true;

test("a full table evicts the member that has been dead or left for longest, never a live one", () => {
  const table = new NodeTable(prng("full"), 3);
  assert.ok(table.add(record("live")));
  assert.ok(table.add(record("recent", "dead", 20)));
  assert.ok(table.add(record("old", "left", 10)));
  assert.ok(table.add(record("new")));
  assert.deepEqual([...table.all()].map(({ name }) => name).sort(), ["live", "new", "recent"]);
  assert.ok(table.add(record("newer", "suspect")));
  assert.equal(table.add(record("one too many")), false);
  assert.equal(table.size, 3);
});

test("each round returns every candidate once, and deletes expired records at its end", () => {
  const table = new NodeTable(prng("round"), 100);
  for (let count = 0; count < 10; count++) table.add(record(`m${count}`, count < 8 ? "alive" : "dead"));
  const isAlive = ({ state }: NodeRecord): boolean => state === "alive";
  for (let round = 0; round < 3; round++) {
    const returned = Array.from(
      { length: 8 },
      () => table.nextInRound(isAlive, (one) => !isAlive(one))?.name,
    );
    assert.equal(new Set(returned).size, 8, returned.join());
  }
  assert.equal(table.size, 8);
  assert.equal(table.nextInRound(never, never), undefined);
});

test("a sample has different members that satisfy the condition", () => {
  const table = new NodeTable(prng("sample"), 100);
  for (let count = 0; count < 10; count++) table.add(record(`m${count}`));
  const sample = table.sample(4, ({ name }) => name !== "m3").map(({ name }) => name);
  assert.equal(new Set(sample).size, 4);
  assert.ok(!sample.includes("m3"));
  assert.equal(table.sample(99, always).length, 10);
});
