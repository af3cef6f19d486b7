/** Which runs share a batch. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenBatch } from "../../../../src/client/produce/open-batch.ts";

const run = (bytes: number, count = 1) => ({ bytes: new Uint8Array(bytes), count });
const open = () => new OpenBatch<string>({ recordsMax: 3, bytesMax: 100, lingerMs: 10 });

test("an empty batch accepts any run, also one that is larger than the limits", () => {
  assert.equal(open().accepts(run(1_000, 50), 0), true);
});

test("a batch does not accept a run beyond its limits or with a deadline that differs by more than 250 ms", () => {
  const batch = open();
  batch.add(run(60), "a", 0, 1_000);
  assert.equal(batch.accepts(run(40), 1_250), true);
  assert.equal(batch.accepts(run(41), 1_000), false);
  assert.equal(batch.accepts(run(1, 3), 1_000), false);
  assert.equal(batch.accepts(run(1), 1_251), false);
});

test("a batch expires with the first of its deadlines, and lingers from its first run on", () => {
  const batch = open();
  batch.add(run(1), "a", 5, 1_000);
  batch.add(run(1), "b", 9, 900);
  assert.deepEqual([batch.expiresAt, batch.lingersUntil], [900, 15]);
  batch.flush();
  assert.equal(batch.lingersUntil, Number.NEGATIVE_INFINITY);
});

test("a sealed batch has the runs in order, and the open one is empty again", () => {
  const batch = open();
  batch.add(run(1), "a", 0, 10);
  batch.add(run(2), "b", 0, 10);
  const { items, run: whole, state } = batch.seal();
  assert.deepEqual(
    items.map(({ ticket }) => ticket),
    ["a", "b"],
  );
  assert.deepEqual([whole.bytes.length, whole.count, state, batch.isEmpty], [3, 2, "waiting", true]);
});

test("a batch copies its runs, which may change afterwards, and keeps them when the next one is filled", () => {
  const batch = open();
  const bytes = Uint8Array.of(1, 2);
  batch.add({ bytes, count: 1 }, "a", 0, 10);
  bytes.fill(9);
  batch.add({ bytes: Uint8Array.of(3), count: 1 }, "b", 0, 10);
  const first = batch.seal();
  batch.add({ bytes, count: 1 }, "c", 0, 10);
  assert.deepEqual([...first.run.bytes], [1, 2, 3]);
  assert.deepEqual([...batch.seal().run.bytes], [9, 9]);
});
