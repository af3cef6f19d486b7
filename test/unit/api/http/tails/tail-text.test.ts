import assert from "node:assert/strict";
import { test } from "node:test";
import { TailTextCache, type TextPlan, textChunks } from "../../../../../src/api/http/tails/tail-text.ts";
import { batchKind, encodeFrame, encodeRun, frameNextOffset } from "../../../../../src/log/mod.ts";
import type { BatchSlice } from "../../../../../src/types.ts";

const events = (id: string, lines: readonly string[]): string => `<${id}> ${lines.join(" | ")}\n`;
const plan: TextPlan = { form: { name: "lines", event: events }, format: "text", batch: 1 };

function sliceOf(values: readonly string[], baseOffset = 0): BatchSlice {
  const { bytes, count } = encodeRun(values.map((value) => ({ value: Buffer.from(value) })));
  const header = { index: 1, term: 1, baseOffset, timestampMs: 5, recordCount: count, kind: batchKind.data };
  const frames = encodeFrame(header, bytes, 0);
  return { frames, firstOffset: baseOffset, nextOffset: frameNextOffset(frames, 0) };
}

const textOf = (shared: TailTextCache, slice: BatchSlice): string =>
  [...shared.chunks(slice, plan)].map(({ bytes }) => bytes.toString()).join("");

test("the same text of several tails is rendered once", () => {
  const shared = new TailTextCache();
  const slice = sliceOf(["a", "b"]);
  const [first] = shared.chunks(slice, plan);
  const [second] = shared.chunks(slice, plan);
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
  const texts = slices.map((slice) => [...shared.chunks(slice, plan)][0]?.bytes);
  const [oldest] = shared.chunks(slices[0]!, plan);
  const [newest] = shared.chunks(slices[99]!, plan);
  assert.notEqual(oldest?.bytes, texts[0]);
  assert.equal(newest?.bytes, texts[99]);
});

const lines = (slices: BatchSlice, from: number, with_: Partial<TextPlan>): string[] =>
  [...textChunks(slices, from, undefined, { ...plan, ...with_ })].flatMap(({ bytes }) =>
    bytes.toString().split("\n").slice(0, -1),
  );

test("an event holds as many records as were asked for, and has the id of its last one", () => {
  const slice = sliceOf(["a", "b", "c"], 5);
  const ids = (batch: number, from = 0): (string | undefined)[] =>
    lines(slice, from, { batch }).map((line) => /^<(.*)>/.exec(line)?.[1]);
  assert.deepEqual(ids(1), ["5", "6", "7"]);
  assert.deepEqual(ids(2), ["6", "7"]);
  assert.deepEqual(ids(9), ["7"]);
  assert.deepEqual(ids(9, 7), ["7"]);
  assert.equal(lines(slice, 6, { batch: 9 })[0]?.split(" | ").length, 2);
});

test("a record of several logs has its log, its id and a token", () => {
  const slice = sliceOf(["a", "b"], 5);
  const of = { log: { id: 3, name: 'x"y' }, life: 9 };
  const [first, second] = lines(slice, 0, { of });
  assert.match(
    String(first),
    /^<r9\.1\.1> \{"log":"x\\"y","log_id":"9-3","offset":5,.*"text":"a","resume":"r9\.1\.1"\}$/,
  );
  assert.match(String(second), /^<r9\.1\.2> .*"resume":"r9\.1\.2"\}$/);
  const asEvents = lines(slice, 6, { of, form: { name: "events", event: events } });
  assert.match(asEvents.join(), /^<r9\.1\.2> \{"log":[^|]*"text":"b"\}$/);
  const ofDefault = lines(slice, 6, { of: { log: { id: 0, name: "default" }, life: 9 } });
  assert.match(ofDefault.join(), /"log":"default","offset":6,/);
});
