import assert from "node:assert/strict";
import { test } from "node:test";
import { TailTextCache, type TextForm } from "../../../../src/api/http/tail-text.ts";
import { batchKind, encodeFrame, encodeRun, frameNextOffset } from "../../../../src/log/mod.ts";
import type { BatchSlice } from "../../../../src/types.ts";

const form: TextForm = { name: "lines", record: (_offset, line) => `${line}\n` };

function sliceOf(values: readonly string[], baseOffset = 0): BatchSlice {
  const { bytes, count } = encodeRun(values.map((value) => ({ value: Buffer.from(value) })));
  const header = { index: 1, term: 1, baseOffset, timestampMs: 5, recordCount: count, kind: batchKind.data };
  const frames = encodeFrame(header, bytes, 0);
  return { frames, firstOffset: baseOffset, nextOffset: frameNextOffset(frames, 0) };
}

const textOf = (shared: TailTextCache, slice: BatchSlice): string =>
  [...shared.chunks(slice, form, "text")].map(({ bytes }) => bytes.toString()).join("");

test("the same text of several tails is rendered once", () => {
  const shared = new TailTextCache();
  const slice = sliceOf(["a", "b"]);
  const [first] = shared.chunks(slice, form, "text");
  const [second] = shared.chunks(slice, form, "text");
  assert.equal(first?.records, 2);
  assert.equal(first?.bytes, second?.bytes);
});

test("a slice that cannot be rendered fails for every tail", () => {
  const shared = new TailTextCache();
  const slice = sliceOf(["a", "b"]);
  // The length of the last record.
  slice.frames[slice.frames.length - 4] = 0x7f;
  for (let reader = 0; reader < 2; reader++) {
    assert.throws(() => textOf(shared, slice), { name: "Fault", kind: "corrupt" });
  }
});

test("the cache keeps the text of few slices, however many are sent", () => {
  const shared = new TailTextCache();
  const slices = Array.from({ length: 100 }, (_, at) => sliceOf(["a"], at));
  const texts = slices.map((slice) => [...shared.chunks(slice, form, "text")][0]?.bytes);
  const [oldest] = shared.chunks(slices[0]!, form, "text");
  const [newest] = shared.chunks(slices[99]!, form, "text");
  assert.notEqual(oldest?.bytes, texts[0]);
  assert.equal(newest?.bytes, texts[99]);
});
