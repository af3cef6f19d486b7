/** Runs that are built value by value. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { halvesOf, RunBuilder } from "../../../../src/cli/produce/run-builder.ts";
import { encodeRun } from "../../../../src/client/mod.ts";

const limits = { recordsMax: 1000, bytesMax: 1_000_000 };
const values = [0, 1, 47, 48, 49, 127, 128, 300, 20_000, 70_000].map((size) => Buffer.alloc(size, "v"));

test("a run is that of encodeRun(), with key and headers or without", () => {
  const headers = [
    { key: "h", value: Buffer.from("1") },
    { key: "empty", value: Buffer.alloc(0) },
  ];
  for (const template of [{ headers: [] }, { key: "k", headers }, { key: "k".repeat(200), headers: [] }]) {
    const builder = new RunBuilder(template, limits);
    for (const value of values) builder.add(value);
    const expected = encodeRun(values.map((value) => ({ ...template, value })));
    assert.deepEqual(builder.take(), { bytes: Uint8Array.from(expected.bytes), count: values.length });
    assert.equal(builder.count, 0);
  }
});

test("a run that was taken does not change with the next one", () => {
  const builder = new RunBuilder({ headers: [] }, limits);
  builder.add(Buffer.from("a"));
  const first = builder.take();
  const before = Uint8Array.from(first.bytes);
  builder.add(Buffer.from("b"));
  assert.deepEqual(first.bytes, before);
  assert.deepEqual(builder.take().bytes, Uint8Array.from(encodeRun(["b"]).bytes));
});

test("a run has at most so many records and bytes, except that the first record always fits", () => {
  const builder = new RunBuilder({ headers: [] }, { recordsMax: 3, bytesMax: 100 });
  assert.ok(builder.fits(5_000));
  builder.add(Buffer.alloc(50));
  assert.deepEqual([builder.fits(42), builder.fits(43)], [true, false]);
  builder.add(Buffer.alloc(1));
  builder.add(Buffer.alloc(1));
  assert.ok(!builder.fits(0));
  builder.take();
  builder.add(Buffer.alloc(5_000));
  assert.ok(!builder.fits(0));
  assert.equal(builder.take().bytes.length, encodeRun([Buffer.alloc(5_000)]).bytes.length);
});

test("the halves of a run have its records in order", () => {
  for (const count of [2, 3, 8, 9]) {
    const all = Array.from({ length: count }, (_, at) => Buffer.alloc(at * 40, "v"));
    const [first, second] = halvesOf(encodeRun(all));
    const half = Math.floor(count / 2);
    for (const [part, records] of [
      [first, all.slice(0, half)],
      [second, all.slice(half)],
    ] as const) {
      const { bytes, count: size } = encodeRun(records);
      assert.deepEqual([Buffer.from(part.bytes), part.count], [Buffer.from(bytes), size]);
    }
  }
});
