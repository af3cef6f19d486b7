import assert from "node:assert/strict";
import { test } from "node:test";
import { RunGroup } from "../../../../src/api/fast-path/run-group.ts";
import { encodeRun } from "../../../../src/log/mod.ts";

const runOf = (text: string) => encodeRun([{ value: Buffer.from(text) }]);

test("a group joins its runs in order and is empty afterwards", () => {
  const group = new RunGroup();
  const runs = ["a", "bb", "ccc"].map(runOf);
  for (const run of runs) group.add(run);
  const { bytes, count } = group.take();
  assert.equal(count, 3);
  assert.deepEqual(Buffer.from(bytes), Buffer.concat(runs.map((run) => run.bytes)));
  assert.equal(group.count, 0);
});

test("a single run is returned without a copy", () => {
  const group = new RunGroup();
  const run = runOf("alone");
  group.add(run);
  assert.equal(group.take().bytes, run.bytes);
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
