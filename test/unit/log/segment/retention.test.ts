import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSettings } from "../../../../src/log/frame/command.ts";
import { nextExpiryMs, retentionOffset } from "../../../../src/log/segment/retention.ts";

const segment = (nextOffset: number) => ({
  defaultBytes: 100,
  nextOffset,
  lastTimestampMs: nextOffset * 100,
});
const sealed = [10, 20, 30].map(segment);
const active = { ...segment(40), defaultBytes: 50 };
const by = (settings: Partial<typeof defaultSettings>) => ({ ...defaultSettings, ...settings });
const log = (lowest = 0, activeCommitted = true) => ({ sealed, active, activeCommitted, lowest });

test("retention by bytes trims whole segments from the front until the rest fits, but not the last one", () => {
  const offset = (retentionBytes: number, lowest = 0): number =>
    retentionOffset(log(lowest), by({ retentionBytes }), 0);
  assert.deepEqual(
    [0, 350, 349, 250, 249, 1].map((bytes) => offset(bytes)),
    [0, 0, 10, 10, 20, 30],
  );
  assert.equal(offset(349, 15), 15);
});

test("retention by age trims segments whose newest record is too old, the last one too", () => {
  const settings = by({ retentionAgeMs: 500 });
  const offsets = (activeCommitted: boolean): number[] =>
    [1500, 1501, 2501, 4500, 9999].map((now) => retentionOffset(log(0, activeCommitted), settings, now));
  assert.deepEqual(offsets(true), [0, 10, 20, 30, 40]);
  assert.deepEqual(offsets(false), [0, 10, 20, 30, 30]);
  assert.equal(nextExpiryMs(log(), settings), 1501);
  assert.equal(nextExpiryMs(log(30), settings), 4501);
  assert.equal(nextExpiryMs(log(30, false), settings), undefined);
  assert.equal(nextExpiryMs(log(40), settings), undefined);
  assert.equal(nextExpiryMs(log(), defaultSettings), undefined);
});
