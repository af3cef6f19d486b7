import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defaultSettings } from "../../../../src/log/frame/command.ts";
import { encodeFrame, encodeTrim } from "../../../../src/log/mod.ts";
import {
  couldRoll,
  mustRoll,
  namedCommandsMax,
  namedFramesMax,
} from "../../../../src/log/segment/roll-policy.ts";
import { run } from "../../../support/log/logs.ts";

const noNamed = { namedLogs: 0, namedFrames: 0, namedCommands: 0 };

const smallFrame = (n: number, timestampMs = 0): Uint8Array =>
  encodeFrame(
    { index: n + 1, term: 1, baseOffset: n, timestampMs, recordCount: 1, kind: 0 },
    run("hello world").bytes,
    0,
  );
const fillOf = (bytes: number, entries: number) => ({
  base: { index: 1, offset: 0, timestampMs: 0 },
  bytes,
  entries,
  nextOffset: 0,
  ...noNamed,
});

test("a segment is full by the frames and the commands that are about named logs", () => {
  const next = smallFrame(3);
  const full = (named: Partial<typeof noNamed>): readonly [boolean, boolean] => [
    mustRoll({ ...fillOf(100, 10), ...named }, next, 0, defaultSettings),
    couldRoll({ ...fillOf(100, 10), ...named }, 10, 10, 0, defaultSettings),
  ];
  assert.deepEqual(full({}), [false, false]);
  assert.deepEqual(full({ namedLogs: 16_383 }), [false, true]);
  assert.deepEqual(full({ namedLogs: 16_384 }), [true, true]);
  assert.deepEqual(full({ namedFrames: namedFramesMax - 10 }), [false, false]);
  assert.deepEqual(full({ namedFrames: namedFramesMax - 1 }), [false, true]);
  assert.deepEqual(full({ namedFrames: namedFramesMax }), [true, true]);
  assert.deepEqual(full({ namedCommands: namedCommandsMax - 1 }), [false, true]);
  assert.deepEqual(full({ namedCommands: namedCommandsMax }), [true, true]);
  assert.deepEqual(full({ namedFrames: 4_000, namedCommands: 4_000 }), [false, false]);
  const batches = mustRoll(fillOf(10_000_000, 500_000), next, 0, defaultSettings);
  assert.equal(batches, false, "a segment of default alone has no such limit");
});

describe("limits", () => {
  test("a segment is full by the size of its store, of its index, or by its age", () => {
    const next = smallFrame(3, 50);
    const settings = {
      ...defaultSettings,
      segmentStoreBytesMax: 3 * next.length,
      segmentIndexBytesMax: 48,
      segmentAgeMaxMs: 50,
    };
    const rolls = (bytes: number, entries: number): boolean =>
      mustRoll(fillOf(bytes, entries), next, 0, settings);
    assert.equal(rolls(2 * next.length, 2), false);
    assert.equal(rolls(2 * next.length + 1, 2), true);
    assert.equal(rolls(next.length, 3), true);
    assert.equal(mustRoll(fillOf(0, 1), smallFrame(3, 51), 0, settings), true);
    assert.equal(mustRoll(fillOf(0, 0), next, 0, { ...settings, segmentStoreBytesMax: 1 }), false);
  });

  test("a segment ends before a time, an offset or a position exceeds 32 bits", () => {
    const over = 2 ** 32;
    assert.equal(
      mustRoll(fillOf(0, 1), smallFrame(1, over), 0, { ...defaultSettings, segmentAgeMaxMs: 2 * over }),
      true,
    );
    assert.equal(mustRoll(fillOf(0, 1), smallFrame(over), 0, defaultSettings), true);
    const huge = { ...defaultSettings, segmentStoreBytesMax: 4 * over };
    assert.equal(mustRoll(fillOf(over, 1), smallFrame(1), 0, huge), true);
  });
});

describe("trims and ages", () => {
  const base = { index: 1, offset: 10, timestampMs: 1000 };
  const fill = { base, bytes: 500, entries: 3, nextOffset: 20, ...noNamed };
  const frame = (kind: 0 | 3, timestampMs: number, payload: Uint8Array): Uint8Array =>
    encodeFrame(
      { index: 4, term: 1, baseOffset: 20, timestampMs, recordCount: kind === 0 ? 1 : 0, kind },
      payload,
      7,
    );
  const rolls = (bytes: Uint8Array, settings: Partial<typeof defaultSettings> = {}): boolean =>
    mustRoll(fill, bytes, 0, { ...defaultSettings, ...settings });

  test("a trim of everything before it begins a segment, a smaller trim does not", () => {
    assert.equal(rolls(frame(3, 1000, encodeTrim(20))), true);
    assert.equal(rolls(frame(3, 1000, encodeTrim(21))), true);
    assert.equal(rolls(frame(3, 1000, encodeTrim(19))), false);
    const nothing = { base: { ...base, offset: 20 }, bytes: 500, entries: 3, nextOffset: 20, ...noNamed };
    assert.equal(mustRoll(nothing, frame(3, 1000, encodeTrim(20)), 0, defaultSettings), false);
  });

  test("a segment spans at most the retention age, or a second", () => {
    const data = (timestampMs: number): Uint8Array => frame(0, timestampMs, run("x").bytes as Uint8Array);
    assert.equal(rolls(data(6001)), false);
    assert.equal(rolls(data(6000), { retentionAgeMs: 5000 }), false);
    assert.equal(rolls(data(6001), { retentionAgeMs: 5000 }), true);
    assert.equal(rolls(data(2000), { retentionAgeMs: 5 }), false);
    assert.equal(rolls(data(2001), { retentionAgeMs: 5 }), true);
    assert.equal(rolls(data(1101), { retentionAgeMs: 5000, segmentAgeMaxMs: 100 }), true);
  });
});

test("an empty segment that has batches ahead of it can be full by its index and its age as well", () => {
  const settings = { ...defaultSettings, segmentIndexBytesMax: 48, segmentAgeMaxMs: 50 };
  const rolls = (batches: number, timestampMs: number): boolean =>
    couldRoll(fillOf(0, 0), 100, batches, timestampMs, settings);
  assert.equal(rolls(1, 1000), false, "it takes any batch");
  assert.equal(rolls(3, 50), false);
  assert.equal(rolls(4, 50), true);
  assert.equal(rolls(2, 51), true);
});
