import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSettings } from "../../../../src/log/mod.ts";
import type { SealedSegment } from "../../../../src/log/segment/sealed-segment.ts";
import { type MergeLimits, planMerge } from "../../../../src/log/settle/merge-plan.ts";

interface Part {
  readonly bytes: number;
  readonly entries?: number;
  readonly isSettled?: boolean;
  /** Of all its batches. */
  readonly timeMs?: number;
  /** Records of `default`. */
  readonly records?: number;
}

/** Segments one after another. */
function segmentsOf(parts: readonly Part[]): SealedSegment[] {
  let [index, offset] = [0, 0];
  return parts.map(({ bytes, entries = 10, isSettled = true, timeMs = 0, records = 0 }) => {
    const before = { index, nextOffset: offset };
    index += entries;
    offset += records;
    return {
      ...{ bytes, first: before.index + 1, baseOffset: before.nextOffset, nextOffset: offset },
      ...{ lastTimestampMs: timeMs, seal: { entries }, end: { index } },
      meta: { before, baseTimestampMs: timeMs, ...(isSettled ? { settled: { frames: 1, bytes: 81 } } : {}) },
    } as unknown as SealedSegment;
  });
}

const limits: MergeLimits = {
  settings: { ...defaultSettings, segmentStoreBytesMax: 1000, retentionAgeMs: 0 },
  storeBytesMax: 750,
  lowest: 0,
  lastMax: 1e9,
  beginsApart: () => false,
  staysAlone: () => false,
};

/** The number of the first segment that is merged, and how many are. */
function planned(parts: readonly Part[], other: Partial<MergeLimits> = {}): [number, number] | undefined {
  const segments = segmentsOf(parts);
  const run = planMerge(segments, { ...limits, ...other });
  return run && [segments.indexOf(run[0]), run.length];
}

const sizes = (...bytes: readonly number[]): Part[] => bytes.map((one) => ({ bytes: one }));
const day = 24 * 3_600_000;

test("the first neighbours that fit into one segment are merged, as many as fit", () => {
  assert.deepEqual(planned(sizes(300, 200, 250)), [0, 3]);
  assert.deepEqual(planned(sizes(300, 200, 251)), [0, 2]);
  assert.deepEqual(planned(sizes(700, 300, 200)), [1, 2]);
  assert.equal(planned(sizes(700, 400, 600)), undefined);
  assert.equal(planned(sizes(100)), undefined);
});

test("a large segment is not copied again for each small neighbour", () => {
  assert.equal(planned(sizes(500, 100)), undefined);
  assert.deepEqual(planned(sizes(400, 100, 100)), [0, 3]);
  assert.deepEqual(planned(sizes(500, 50, 50)), [1, 2]);
  assert.deepEqual(planned(sizes(50, 50, 500)), [0, 2]);
});

test("only settled segments that are committed and not damaged are merged", () => {
  const mixed = [{ bytes: 100 }, { bytes: 100, isSettled: false }, { bytes: 100 }, { bytes: 100 }];
  assert.deepEqual(planned(mixed), [2, 2]);
  assert.deepEqual(planned(sizes(100, 100, 100, 100), { lastMax: 39 }), [0, 3]);
  assert.equal(planned(sizes(100, 100), { lastMax: 19 }), undefined);
  assert.deepEqual(planned(sizes(100, 100, 100), { staysAlone: ({ first }) => first === 1 }), [1, 2]);
});

test("a run has at most 64 segments", () => {
  assert.deepEqual(planned(sizes(...Array.from({ length: 100 }, () => 2))), [0, 64]);
});

test("a segment that must begin where it does is not merged with the one before", () => {
  const beginsApart = ({ first }: SealedSegment): boolean => first === 21;
  assert.deepEqual(planned(sizes(100, 100, 100, 100), { beginsApart }), [0, 2]);
  assert.deepEqual(planned(sizes(400, 500, 100, 100), { beginsApart }), [2, 2]);
});

test("a merged segment has a limit of frames, and its index one of bytes", () => {
  assert.equal(
    planned([
      { bytes: 100, entries: 30_000 },
      { bytes: 100, entries: 2_769 },
    ]),
    undefined,
  );
  assert.deepEqual(
    planned([
      { bytes: 100, entries: 30_000 },
      { bytes: 100, entries: 2_768 },
    ]),
    [0, 2],
  );
  const settings = { ...limits.settings, segmentIndexBytesMax: 19 * 16 };
  assert.equal(planned(sizes(100, 100), { settings }), undefined);
});

test("an index can hold the time and the offset of each frame", () => {
  const apart = (timeMs: number, records: number): Part[] => [
    { bytes: 100 },
    { bytes: 100, timeMs, records },
  ];
  assert.deepEqual(planned(apart(2 ** 32 - 1, 0)), [0, 2]);
  assert.equal(planned(apart(2 ** 32, 0)), undefined);
  assert.deepEqual(planned(apart(0, 2 ** 32 - 1)), [0, 2]);
  assert.equal(planned(apart(0, 2 ** 32)), undefined);
});

test("records of default are not kept longer than by the age of a segment", () => {
  const apart = (timeMs: number): Part[] => [{ bytes: 100 }, { bytes: 100, timeMs, records: 5 }];
  assert.deepEqual(planned(apart(day)), [0, 2]);
  assert.equal(planned(apart(day + 1)), undefined);
  assert.deepEqual(planned(apart(day + 1), { lowest: 5 }), [0, 2]);
  const settings = { ...limits.settings, retentionAgeMs: 60_000 };
  assert.equal(planned(apart(60_001), { settings }), undefined);
});
