/** The delay of the event loop: since the last collection, the same for all gauges of one, and of a real stall. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Instruments } from "../../../../src/telemetry/instruments.ts";
import { EventLoopDelay } from "../../../../src/telemetry/process/event-loop-delay.ts";
import { registerProcessMetrics } from "../../../../src/telemetry/process/process-metrics.ts";
import { until } from "../../../support/until.ts";

/** A histogram with given times between firings, in milliseconds. */
function histogramOf(calls: string[] = []) {
  let times: number[] = [];
  return {
    add: (...more: number[]): void => void times.push(...more),
    enable: (): boolean => calls.push("enable") > 0,
    disable: (): boolean => calls.push("disable") > 0,
    get count(): number {
      return times.length;
    },
    get max(): number {
      return Math.max(...times) * 1e6;
    },
    percentile: (share: number): number =>
      times.toSorted((a, b) => a - b)[Math.ceil((times.length * share) / 100) - 1]! * 1e6,
    reset: (): void => {
      times = [];
    },
  };
}

test("the measurement starts at the first reading, and ends with its owner", () => {
  const calls: string[] = [];
  {
    using delay = new EventLoopDelay(() => histogramOf(calls));
    assert.deepEqual(calls, []);
    assert.equal(delay.read(), undefined);
    assert.deepEqual(calls, ["enable"]);
  }
  assert.deepEqual(calls, ["enable", "disable"]);
  using unread = new EventLoopDelay(() => assert.fail("it is never read"));
  assert.ok(unread);
});

test("a reading has the delays since the one before, without the time between two firings", async () => {
  const histogram = histogramOf();
  using delay = new EventLoopDelay(() => histogram);
  delay.read();
  await pause(0);
  histogram.add(...Array.from({ length: 98 }, () => 12), 110, 310);
  assert.deepEqual(delay.read(), { p50: 0.002, p99: 0.1, max: 0.3 });
  histogram.add(1_010);
  assert.deepEqual(delay.read(), { p50: 0.002, p99: 0.1, max: 0.3 }, "the same collection");
  await pause(0);
  assert.deepEqual(delay.read(), { p50: 1, p99: 1, max: 1 });
  await pause(0);
  assert.deepEqual(delay.read(), { p50: 1, p99: 1, max: 1 }, "the timer has not fired since");
  histogram.add(9.9);
  await pause(0);
  assert.deepEqual(delay.read(), { p50: 0, p99: 0, max: 0 }, "a timer that is early is not late");
});

test("a collection after a stall of this process shows it, and the next one does not", async () => {
  const instruments = new Instruments();
  using _ = registerProcessMetrics(instruments);
  const collect = (): Record<string, unknown> =>
    Object.fromEntries(
      instruments
        .collect()
        .filter(({ name }) => name.startsWith("nodejs.eventloop.delay."))
        .map(({ name, unit, points }) => [
          name.slice("nodejs.eventloop.delay.".length) + unit,
          points[0]?.value,
        ]),
    );
  assert.deepEqual(collect(), { p50s: undefined, p99s: undefined, maxs: undefined });
  await pause(30);
  const endMs = performance.now() + 400;
  while (performance.now() < endMs);
  await pause(30);
  const { p50s, p99s, maxs } = collect() as Record<string, number>;
  assert.ok(maxs! >= 0.35, `${maxs}`);
  assert.ok(p50s! <= p99s! && p99s! <= maxs!, `${p50s} ${p99s} ${maxs}`);
  await until("a collection without a stall", async () => {
    await pause(30);
    return (collect()["maxs"] as number) < 0.35;
  });
});
