/**
 * Instruments: the collected values are the recorded ones, by attributes, up to a limit of series.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type HistogramPoint, Instruments } from "../../../src/telemetry/instruments.ts";

const options = { description: "d", unit: "s" };

test("a histogram counts each value in the first bucket that includes it", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: -60, max: 60 }), { maxLength: 100 }),
      (bounds, values) => {
        const boundaries = bounds.sort((a, b) => a - b);
        const instruments = new Instruments();
        const histogram = instruments.histogram("h", { ...options, boundaries });
        for (const value of values) histogram.record(value);
        const point = instruments.collect()[0]?.points[0]?.value as HistogramPoint;
        const naive = boundaries.map(
          (bound, at) =>
            values.filter((value) => value <= bound && value > (boundaries[at - 1] ?? -Infinity)).length,
        );
        const above = values.filter((value) => value > (boundaries.at(-1) ?? -Infinity)).length;
        assert.deepEqual(point.counts, [...naive, above]);
        assert.equal(point.count, values.length);
        assert.equal(
          point.sum,
          values.reduce((sum, value) => sum + value, 0),
        );
        if (values.length > 0) {
          assert.equal(point.min, Math.min(...values));
          assert.equal(point.max, Math.max(...values));
        }
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test("NaN and negative additions change nothing", () => {
  const instruments = new Instruments();
  const histogram = instruments.histogram("h", { ...options, boundaries: [1] });
  const counter = instruments.counter("c", options);
  histogram.record(Number.NaN);
  counter.add(Number.NaN);
  counter.add(-1);
  counter.add(2);
  const [h, c] = instruments.collect();
  assert.equal((h?.points[0]?.value as HistogramPoint | undefined)?.count, 0);
  assert.equal(c?.points[0]?.value, 2);
});

test("the same name and attributes are the same instrument, in any order", () => {
  const instruments = new Instruments();
  instruments.counter("c", { ...options, attributes: { a: 1, b: "x" } }).add(1);
  instruments.counter("c", { ...options, attributes: { b: "x", a: 1 } }).add(1);
  instruments.counter("c", { ...options, attributes: { a: 2 } }).add(5);
  assert.deepEqual(
    instruments.collect()[0]?.points.map(({ value }) => value),
    [2, 5],
  );
});

test("a name has one kind and unit", () => {
  const instruments = new Instruments();
  instruments.counter("c", options);
  assert.throws(() => instruments.histogram("c", { ...options, boundaries: [] }), /is a counter already/);
  assert.throws(() => instruments.counter("c", { ...options, unit: "By" }), /already/);
  assert.throws(() => instruments.counter("Not a name", options), /not a valid metric name/);
});

test("more sets of attributes than allowed share one series", () => {
  const instruments = new Instruments(3);
  for (let n = 0; n < 10; n++) instruments.counter("c", { ...options, attributes: { n } }).add(1);
  const points = instruments.collect()[0]?.points ?? [];
  assert.equal(points.length, 4);
  assert.deepEqual(points.at(-1), { attributes: { "otel.metric.overflow": true }, value: 7 });
  instruments.counter("c", { ...options, attributes: { n: 1 } }).add(1);
  assert.equal(instruments.collect()[0]?.points[1]?.value, 2, "a known one is still found");
});

test("gauges and totals are read on collection, can be removed, and fail independently", () => {
  const instruments = new Instruments();
  let looks = 0;
  const end = instruments.gauge("g", options, () => ++looks);
  instruments.gauge("broken", options, () => {
    throw new Error("no");
  });
  instruments.total("t", { ...options, attributes: { a: 1 } }, () => [
    { value: 7, attributes: { b: 1 } },
    { value: 8, attributes: { b: 2 } },
  ]);
  assert.equal(looks, 0);
  const [g, broken, t] = instruments.collect();
  assert.deepEqual(g?.points, [{ attributes: {}, value: 1 }]);
  assert.deepEqual(broken?.points, []);
  assert.equal(t?.kind, "counter");
  assert.deepEqual(t?.points[1], { attributes: { a: 1, b: 2 }, value: 8 });
  end();
  assert.deepEqual(instruments.collect()[0]?.points, []);
});

test("of two observers of one series the later one counts", () => {
  const instruments = new Instruments();
  instruments.gauge("g", options, () => 1);
  instruments.gauge("g", options, () => [
    { value: 2, attributes: {} },
    { value: 3, attributes: { a: 1 } },
  ]);
  assert.deepEqual(
    instruments.collect()[0]?.points.map(({ value }) => value),
    [2, 3],
  );
});
