import assert from "node:assert/strict";
import { test } from "node:test";
import { RemovalPace } from "../../../../src/log/rows/removal-pace.ts";
import type { SealedSegment } from "../../../../src/log/segment/sealed-segment.ts";
import { StillClock } from "../../../support/log/logs.ts";

/** Segments of these bytes and frames, as far as the pace looks at them. */
const segments = (...each: readonly (readonly [bytes: number, frames: number])[]): SealedSegment[] =>
  each.map(([bytes, entries]) => ({ bytes, seal: { entries } }) as SealedSegment);

test("segments wait until they are a quarter of the base, or half a minute", () => {
  const clock = new StillClock();
  const pace = new RemovalPace(clock);
  const two = segments([100, 1], [100, 1]);
  assert.equal(pace.isDue(two, 801), false);
  assert.equal(pace.isDue(two, 800), true);
  assert.equal(pace.isDue(two, 0), true);
  assert.equal(pace.isDue(two, 5_000), false);
  clock.advance(29_999);
  assert.equal(pace.isDue(two, 5_000), false);
  clock.advance(1);
  assert.equal(pace.isDue(two, 5_000), true);
  assert.equal(pace.isDue(two, 5_000), false, "the next ones wait again");
  assert.equal(new RemovalPace(undefined).isDue(two, 5_000), true, "without a clock nothing waits");
});

test("at least two segments are removed together, and more up to a number of frames", () => {
  const pace = new RemovalPace(undefined);
  const [small, large] = [segments([1, 4_096])[0]!, segments([1, 400_000])[0]!];
  assert.equal(pace.together(Array(40).fill(small)).length, 16);
  assert.equal(pace.together([large, large, large]).length, 2);
  assert.equal(pace.together([small]).length, 1);
});
