import assert from "node:assert/strict";
import { test } from "node:test";
import { batchKind, FrameSequence } from "../../../../src/log/mod.ts";
import { LogTable } from "../../../../src/log/state/log-table.ts";
import { createFrame, dataFrame, deleteFrame, namedFrame } from "../named-frames.ts";

const ofDefault = (index: number, base: number, records = 1): Uint8Array =>
  namedFrame({ kind: batchKind.data, id: 0, index, base, records });

test("offsets must continue those of each log, from the rows at the index where the frames begin", () => {
  const table = new LogTable();
  for (const frame of [createFrame(1, 1, "a"), dataFrame(1, 2, 0, 2), dataFrame(1, 3, 2)])
    table.stage(frame, 0);
  // The frame of index 3 will be replaced.
  const sequence = new FrameSequence(table, 2, 7);
  assert.equal(sequence.add(dataFrame(1, 3, 3), 0), "offset");
  assert.equal(sequence.add(dataFrame(1, 3, 2, 4), 0), undefined);
  assert.equal(sequence.add(ofDefault(4, 6), 0), "offset");
  assert.equal(sequence.add(ofDefault(4, 7, 2), 0), undefined);
  assert.equal(sequence.add(createFrame(1, 5, "a"), 0), "log-exists");
  assert.equal(sequence.add(dataFrame(2, 5, 0), 0), "no-log");
  assert.equal(sequence.add(createFrame(2, 5, "b"), 0), undefined);
  assert.equal(sequence.add(dataFrame(2, 6, 0), 0), undefined);
  assert.equal(sequence.add(deleteFrame(1, 7, 6), 0), undefined);
  assert.equal(sequence.add(dataFrame(1, 8, 6), 0), "no-log");
  assert.equal(sequence.add(ofDefault(8, 9), 0), undefined);
  assert.equal(table.stagedRow(1)?.next, 3, "the table is not changed");
});

test("a create of a leader must have a new id and a free name, from the table at the index where the frames begin", () => {
  const table = new LogTable();
  for (const frame of [createFrame(1, 1, "a"), createFrame(2, 2, "b"), deleteFrame(2, 3, 0)])
    table.stage(frame, 0);
  table.commitTo(3);
  // These frames will be replaced.
  for (const frame of [createFrame(3, 4, "c"), deleteFrame(1, 5, 0), createFrame(4, 6, "a")])
    table.stage(frame, 0);
  const replacing = new FrameSequence(table, 3, 0);
  assert.equal(replacing.add(createFrame(2, 4, "d"), 0), "id-used");
  assert.equal(replacing.add(createFrame(3, 4, "a"), 0), "name-used");
  assert.equal(replacing.add(createFrame(3, 4, "c"), 0), undefined);
  assert.equal(replacing.add(createFrame(4, 5, "c"), 0), "name-used");
  assert.equal(replacing.add(deleteFrame(3, 5, 0), 0), undefined);
  assert.equal(replacing.add(createFrame(3, 6, "e"), 0), "id-used");
  assert.equal(replacing.add(createFrame(4, 6, "c"), 0), undefined);
  const following = new FrameSequence(table, 6, 0);
  assert.equal(following.add(createFrame(4, 7, "e"), 0), "log-exists");
  assert.equal(following.add(createFrame(5, 7, "a"), 0), "name-used");
  assert.equal(following.add(createFrame(5, 7, "b"), 0), undefined);
});

test("the first batch of all defines where the offsets of default begin", () => {
  const sequence = new FrameSequence(new LogTable(), 0, 0);
  assert.equal(sequence.add(ofDefault(1, 900), 0), undefined);
  assert.equal(sequence.add(ofDefault(2, 900), 0), "offset");
  assert.equal(sequence.add(ofDefault(2, 901), 0), undefined);
});
