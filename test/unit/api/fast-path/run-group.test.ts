import assert from "node:assert/strict";
import { test } from "node:test";
import { RunGroup } from "../../../../src/api/fast-path/run-group.ts";
import { encodeRun } from "../../../../src/log/mod.ts";

const runOf = (text: string) => encodeRun([{ value: Buffer.from(text) }]);

test("a group joins its runs in order and is empty afterwards", () => {
  const group = new RunGroup();
  const runs = ["a", "bb", "ccc"].map(runOf);
  for (const run of runs) group.add(run);
  const { run, producer } = group.whole();
  assert.equal(run.count, 3);
  assert.equal(producer, undefined);
  assert.deepEqual(Buffer.from(run.bytes), Buffer.concat(runs.map(({ bytes }) => bytes)));
  assert.deepEqual(
    [...group.runs()],
    runs.map((one) => ({ run: one, producer: undefined })),
  );
  group.clear();
  assert.equal(group.count, 0);
  assert.deepEqual([...group.runs()], []);
});

test("a single run is returned without a copy", () => {
  const group = new RunGroup();
  const run = runOf("alone");
  group.add(run);
  assert.equal(group.whole().run.bytes, run.bytes);
});

test("a run fits unless the group would exceed the records or the bytes of a batch", () => {
  const group = new RunGroup();
  const large = runOf("x".repeat(40_000));
  assert.ok(group.fits(large));
  group.add(large);
  assert.equal(group.fits(large), false);
  assert.ok(group.fits(runOf("y")));
  assert.equal(group.fits({ bytes: new Uint8Array(0), count: 1024 }), false);
});

test("runs of a producer fit in the order of its sequence only, and keep their sequences", () => {
  const group = new RunGroup();
  const stamp = (sequence: number, id = 7n, epoch = 2) => ({ subject: "root", id, epoch, sequence });
  const run = runOf("a");
  group.add(run, stamp(5));
  assert.ok(group.fits(run, stamp(6)));
  for (const other of [stamp(5), stamp(7), stamp(6, 8n), stamp(6, 7n, 3), { ...stamp(6), subject: "other" }])
    assert.equal(group.fits(run, other), false);
  assert.equal(group.fits(run), false);
  group.add(run, stamp(6));
  assert.deepEqual(group.whole().producer, stamp(5));
  assert.deepEqual(
    [...group.runs()].map(({ producer }) => producer),
    [stamp(5), stamp(6)],
  );
  group.clear();
  assert.ok(group.fits(run));
  group.add(run);
  assert.equal(group.fits(run, stamp(0)), false);
});
