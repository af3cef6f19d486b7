import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { defaultSettings } from "../../../../src/log/frame/command.ts";
import { ProducerTable } from "../../../../src/log/state/producer-table.ts";
import type { ProducerStamp } from "../../../../src/types.ts";

const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean =>
    reason instanceof Fault && reason.kind === kind;

const settings = { ...defaultSettings, producersMax: 4, producersPerSubjectMax: 2, producerAgeMaxMs: 100 };
const stamp = (id: number, sequence: number, subject = "s"): ProducerStamp => ({
  subject,
  id: BigInt(id),
  epoch: 0,
  sequence,
});
const batch = (index: number, sequence: number, timestampMs = 0) => ({
  index,
  sequence,
  count: 1,
  firstOffset: index,
  timestampMs,
});

test("a staged batch counts at once, and not any more once it is cut off", () => {
  const table = new ProducerTable();
  table.stage(stamp(1, 0), batch(1, 0));
  table.stage(stamp(1, 1), batch(2, 1));
  assert.deepEqual(table.check(stamp(1, 2), 1, 0, settings), { append: true });
  table.commitTo(1, settings);
  table.truncate(2);
  assert.deepEqual(table.check(stamp(1, 1), 1, 0, settings), { append: true });
  assert.throws(() => table.check(stamp(1, 2), 1, 0, settings), isFault("out-of-sequence"));
  assert.deepEqual(table.check(stamp(1, 0), 1, 0, settings), { duplicate: batch(1, 0) });
});

test("the number of producers is limited in total and per subject", () => {
  const table = new ProducerTable();
  table.stage(stamp(1, 0), batch(1, 0));
  table.commitTo(1, settings);
  table.stage(stamp(2, 0), batch(2, 0));
  assert.throws(() => table.check(stamp(3, 0), 1, 0, settings), isFault("too-many-producers"));
  assert.deepEqual(table.check(stamp(3, 0, "t"), 1, 0, settings), { append: true });
  table.stage(stamp(1, 0, "t"), batch(3, 0));
  table.stage(stamp(1, 0, "u"), batch(4, 0));
  assert.throws(() => table.check(stamp(1, 0, "v"), 1, 0, settings), isFault("too-many-producers"));
  assert.deepEqual(table.check(stamp(1, 1), 1, 0, settings), { append: true });
});

test("a producer expires by the time in the log, not by a clock", () => {
  const table = new ProducerTable();
  table.stage(stamp(1, 0), batch(1, 0, 1000));
  table.stage(stamp(2, 0), batch(2, 0, 1100));
  table.commitTo(2, settings);
  assert.equal(table.size, 2);
  assert.throws(() => table.check(stamp(1, 1), 1, 1101, settings), isFault("unknown-producer"));
  table.stage(stamp(2, 1), batch(3, 1, 1101));
  table.commitTo(3, settings);
  assert.equal(table.size, 1);
  assert.deepEqual(
    table.rows().map(([, id]) => id),
    [2n],
  );
  assert.deepEqual(new ProducerTable(table.rows()).rows(), table.rows());
});

test("a jump of the time in the log does not expire the producers of the latest entries", () => {
  const large = { ...settings, producersMax: 10_000, producersPerSubjectMax: 1_000 };
  const table = new ProducerTable();
  table.stage(stamp(1, 0), batch(1, 0, 1000));
  table.stage(stamp(2, 0), batch(2, 0, 1_000_000));
  table.commitTo(2, large);
  assert.deepEqual(table.check(stamp(1, 1), 1, 1_000_000, large), { append: true });
  assert.deepEqual(table.check(stamp(1, 0), 1, 1_000_000, large), { duplicate: batch(1, 0, 1000) });
  table.stage(stamp(2, 1), batch(251, 1, 1_000_000));
  assert.throws(() => table.check(stamp(1, 1), 1, 1_000_000, large), isFault("unknown-producer"));
  table.commitTo(251, large);
  assert.equal(table.size, 1);
});

test("five batches of a producer are kept", () => {
  const table = new ProducerTable();
  for (let n = 0; n < 9; n++) table.stage(stamp(1, n), batch(n + 1, n));
  table.commitTo(9, settings);
  assert.deepEqual(
    table.rows()[0]![3].map(([index]) => index),
    [5, 6, 7, 8, 9],
  );
});
