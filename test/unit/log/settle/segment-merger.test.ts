/** What the merger does with copies that do not fit, that are not needed any more, or for which there is no space. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSettings } from "../../../../src/log/mod.ts";
import type { SealedSegment } from "../../../../src/log/segment/sealed-segment.ts";
import type { CopyRequest } from "../../../../src/log/settle/segment-copies.ts";
import { SegmentMerger } from "../../../../src/log/settle/segment-merger.ts";

const entries = 10;
const bytes = 100;

function segmentsOf(count: number): SealedSegment[] {
  return Array.from({ length: count }, (_, n) => {
    const before = { index: n * entries, nextOffset: 0 };
    return {
      ...{ bytes, first: before.index + 1, baseOffset: 0, nextOffset: 0, lastTimestampMs: 0 },
      ...{ seal: { entries }, end: { index: before.index + entries }, prepareLogs: () => true },
      meta: { before, baseTimestampMs: 0, settled: { frames: 1, bytes: 81 } },
    } as unknown as SealedSegment;
  });
}

interface Merging {
  readonly count?: number;
  /** Logs in each segment, by its first index. */
  readonly logs?: ReadonlyMap<number, number>;
  /** Segments that lack their producers. */
  readonly lacking?: readonly number[];
  readonly freeBytes?: number;
  /** Called while a copy is made. */
  readonly during?: (merging: { isHeld: boolean; readonly damaged: Set<number> }) => void;
  readonly from?: number;
}

/** The first indexes of the segments of each copy, and of those that were removed. No copy is put in its place. */
async function merged(options: Merging): Promise<{ copies: number[][]; removed: number[]; yields: number }> {
  const { count = 3, logs = new Map(), lacking = [], freeBytes = 1e9, during, from = 1 } = options;
  const [copies, removed]: [number[][], number[]] = [[], []];
  const sealed = segmentsOf(count);
  const now = { isHeld: false, damaged: new Set<number>() };
  let yields = 0;
  const settings = { ...defaultSettings, segmentStoreBytesMax: 1000, retentionAgeMs: 0 };
  const parts = {
    files: { damage: now.damaged, disk: { freeBytes: () => freeBytes }, directory: "/data/log" },
    catalog: { settling: () => undefined },
    set: {
      ...{ sealed, all: [...sealed, { first: count * entries + 1 }] },
      checkpoints: { lacksProducers: (one: number) => lacking.includes(one) },
    },
    log: {
      ...{ commitIndex: 1e6, committed: { savedCommit: 1e6 }, state: { settings }, bounds: { lowest: 0 } },
      rows: { isAsOf: () => false, readsSegments: false },
    },
    ...{ pace: { mergedShare: 0.75, restMs: 0 }, logger: undefined, health: { refusal: undefined } },
  };
  const replaced = new Error("it is replaced");
  const merger = new SegmentMerger(
    parts as unknown as ConstructorParameters<typeof SegmentMerger>[0],
    {
      copy: ({ segments, fits }: CopyRequest) => {
        copies.push(segments.map(({ first }) => first));
        assert.ok(copies.length < 10, "the merge does not end");
        during?.(now);
        let touched = 0;
        const fit = segments.every((segment) => {
          touched += logs.get(segment.first) ?? 0;
          return fits!({ touched, commands: 0 } as Parameters<NonNullable<typeof fits>>[0], segment);
        });
        return Promise.resolve(fit ? { meta: {} } : undefined);
      },
      remove: ([{ first }]: CopyRequest["segments"]) => removed.push(first),
      replace: () => {
        throw replaced;
      },
    } as unknown as ConstructorParameters<typeof SegmentMerger>[1],
    {
      sleep: () => {
        yields++;
        return Promise.resolve();
      },
      mayReplace: () => !now.isHeld,
    },
  );
  await merger.pass(from).catch((reason: unknown) => assert.equal(reason, replaced));
  return { copies, removed, yields };
}

test("a segment that is too large to be merged stays, and those after it are merged", async () => {
  const { copies, removed } = await merged({ logs: new Map([[1, 16_385]]) });
  assert.deepEqual(copies, [
    [1, 11, 21],
    [11, 21],
  ]);
  assert.deepEqual(removed, [1]);
});

test("a segment with which a run is too large begins the next run", async () => {
  const { copies } = await merged({ count: 4, logs: new Map([21, 31].map((first) => [first, 9_000])) });
  assert.deepEqual(copies, [
    [1, 11, 21, 31],
    [1, 11, 21],
  ]);
});

test("a copy that is not needed any more is removed, also while nothing may be replaced", async () => {
  const held = await merged({ during: (now) => (now.isHeld = true) });
  assert.deepEqual(held, { copies: [[1, 11, 21]], removed: [1], yields: held.yields });
  const damaged = await merged({ during: (now) => now.damaged.add(21) });
  assert.deepEqual(damaged, { copies: [[1, 11, 21]], removed: [1], yields: damaged.yields });
});

test("nothing is merged without space for the copy and one segment", async () => {
  assert.deepEqual((await merged({ freeBytes: 1300 })).copies, []);
  assert.deepEqual((await merged({ freeBytes: 1301 })).copies, [[1, 11, 21]]);
});

test("other work has its turn after each segment that is prepared", async () => {
  assert.equal((await merged({ count: 7 })).yields, 7);
});

test("segments that are removed whole are not merged with those after them", async () => {
  assert.deepEqual((await merged({ count: 4, from: 11 })).copies, [[11, 21, 31]]);
  assert.deepEqual((await merged({ from: Number.POSITIVE_INFINITY })).copies, []);
});

test("a segment that has its producers is not merged with one that lacks them", async () => {
  assert.deepEqual((await merged({ count: 5, lacking: [1, 11, 31] })).copies, [[1, 11]]);
});
