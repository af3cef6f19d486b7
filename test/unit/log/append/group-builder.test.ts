import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupBuilder, runBytesMax } from "../../../../src/log/append/group-builder.ts";
import {
  chainStart,
  checkFrame,
  frameBaseOffset,
  frameProducer,
  frameRecordCount,
} from "../../../../src/log/mod.ts";
import type { ProducerStamp } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

const stamp = (sequence: number, id = 1n): ProducerStamp => ({ subject: "s", id, epoch: 0, sequence });

function build(...appends: [values: string[], producer?: ProducerStamp | undefined, alone?: boolean][]) {
  const builder = new GroupBuilder(100);
  const places = appends.map(([values, producer, alone]) =>
    builder.add(run(...values), producer, alone ?? false),
  );
  const { group, end } = sealGroup(builder, { ...chainStart, nextOffset: 10 }, 1, 5);
  const starts = group.positions.slice(0, -1);
  for (const at of starts) assert.equal(checkFrame(group.bytes, at, group.bytes.length), undefined);
  const counts = starts.map((at) => frameRecordCount(group.bytes, at));
  const bases = starts.map((at) => frameBaseOffset(group.bytes, at));
  const producers = starts.map((at) => frameProducer(group.bytes, at)?.sequence);
  return { places, counts, bases, producers, end };
}

test("consecutive appends without a producer become one batch", () => {
  const { places, counts, bases, end } = build([["a"]], [["b", "c"]], [["d"]]);
  assert.deepEqual([places, counts, bases], [[0, 1, 3], [4], [10]]);
  assert.deepEqual([end.index, end.nextOffset], [1, 14]);
});

test("consecutive appends of one producer become one batch, without appends of others", () => {
  const { counts, producers } = build(
    [["a"], stamp(0)],
    [["b"], stamp(1)],
    [["c"], stamp(0, 2n)],
    [["d"]],
    [["e"], stamp(2)],
    [["f"], stamp(9)],
  );
  assert.deepEqual(counts, [2, 1, 1, 1, 1]);
  assert.deepEqual(producers, [0, 0, undefined, 2, 9]);
});

test("an append with an expected offset is a batch of its own", () => {
  assert.deepEqual(build([["a"]], [["b"], undefined, true], [["c"]], [["d"]]).counts, [1, 1, 2]);
});

test("a batch of several appends has at most 1,024 records and 64 KiB; one append may be larger", () => {
  const many = Array.from({ length: 1500 }, () => "x");
  assert.deepEqual(build([many], [["a"]], [["b"]]).counts, [1500, 2]);
  assert.deepEqual(build([["y".repeat(40_000)]], [["z".repeat(40_000)]], [["a"]]).counts, [1, 2]);
});

test("the largest run fits into an empty group, and no second one", () => {
  const builder = new GroupBuilder(0);
  assert.ok(builder.fits(runBytesMax));
  builder.add(run("x".repeat(runBytesMax - 10)), { ...stamp(0), subject: "s".repeat(255) }, false);
  assert.ok(!builder.fits(runBytesMax));
  sealGroup(builder, chainStart, 1, 0);
});
