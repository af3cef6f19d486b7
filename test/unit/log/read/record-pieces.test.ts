import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { batchKind, encodeFrame, encodeRun, frameNextOffset } from "../../../../src/log/mod.ts";
import { RecordPieces } from "../../../../src/log/read/record-pieces.ts";
import type { BatchSlice } from "../../../../src/types.ts";
import { run, simMachine, valuesOf } from "../../../support/log/logs.ts";

const isCorrupt = (fault: unknown): boolean => fault instanceof Fault && fault.kind === "corrupt";

function sliceOf(values: readonly string[], index: number, logId = 0): BatchSlice {
  const { bytes, count } = encodeRun(values.map((value) => ({ value: Buffer.from(value) })));
  const head = {
    index,
    term: 1,
    baseOffset: 0,
    timestampMs: 5,
    recordCount: count,
    kind: batchKind.data,
    logId,
  };
  const frames = encodeFrame(head, bytes, 0);
  return { frames, firstOffset: 0, nextOffset: frameNextOffset(frames, 0) };
}

const textsOf = (name: string, count = 1000): string[] =>
  Array.from({ length: count }, (_, n) => `${name} ${n} ${".".repeat(50)}`);

/** A store with one batch at position 10, and what was read of it. */
function open(batch: BatchSlice, logId = 0) {
  const store = Buffer.concat([Buffer.alloc(10), batch.frames]);
  const seen = { wholes: 0, reads: [] as number[] };
  const segment = {
    read(target: Uint8Array, position: number) {
      seen.reads.push(target.length);
      return store.copy(target, 0, position, position + target.length);
    },
  };
  const place = { segment, logId, index: 7, position: 10, bytes: batch.frames.length };
  const whole = (): BatchSlice => {
    seen.wholes++;
    return batch;
  };
  return { store, seen, place, whole };
}

test("a large batch is read as a whole once, and then only the piece with the record", () => {
  const texts = textsOf("a");
  const { seen, place, whole } = open(sliceOf(texts, 7));
  const pieces = new RecordPieces(1 << 20);
  assert.equal(pieces.readBytes(place, 500), place.bytes);
  for (const offset of [500, 0, 999, 501]) {
    assert.equal(valuesOf(pieces.read(place, offset, whole), offset)[0], texts[offset]);
  }
  assert.deepEqual([seen.wholes, seen.reads.length], [1, 3]);
  for (const bytes of seen.reads) assert.ok(bytes < 5_000, String(bytes));
  assert.ok(pieces.readBytes(place, 500) < 5_000);
  pieces.clear();
  assert.deepEqual([pieces.bytes, pieces.readBytes(place, 500)], [0, place.bytes]);
});

test("a small batch is read as a whole each time", () => {
  const { seen, place, whole } = open(sliceOf(["a", "b"], 7));
  const pieces = new RecordPieces(1 << 20);
  for (let n = 0; n < 2; n++) assert.deepEqual(valuesOf(pieces.read(place, 0, whole)), ["a", "b"]);
  assert.deepEqual([seen.wholes, seen.reads, pieces.bytes], [2, [], 0]);
});

test("a piece whose bytes changed since its batch was checked is not shown: the batch is checked again", () => {
  const { store, place, whole } = open(sliceOf(textsOf("a"), 7));
  const pieces = new RecordPieces(1 << 20);
  pieces.read(place, 500, whole);
  const at = store.indexOf("a 500 ");
  store[at] = 0x62;
  const corrupt = new Fault("corrupt");
  const damaged = (): BatchSlice => {
    throw corrupt;
  };
  assert.throws(() => pieces.read(place, 500, damaged), corrupt);
  assert.throws(() => pieces.read(place, 0, damaged), corrupt, "the batch is forgotten");
});

test("what is remembered of a batch is not used for another one with its index", () => {
  const pieces = new RecordPieces(1 << 20);
  const before = open(sliceOf(textsOf("a"), 7));
  pieces.read(before.place, 1, before.whole);
  const others = [
    [open(sliceOf(textsOf("b"), 7)), "the same size"],
    [open(sliceOf(textsOf("b", 900), 7)), "another size"],
    [open(sliceOf(textsOf("b"), 7, 4), 4), "another log"],
  ] as const;
  for (const [{ place, whole }, name] of others) {
    assert.match(valuesOf(pieces.read(place, 1, whole), 1)[0]!, /^b 1 /, name);
    pieces.clear();
    pieces.read(before.place, 1, before.whole);
  }
});

test("what is remembered has a limit, and the batches that are read stay", () => {
  const batch = (index: number) => {
    const opened = open(sliceOf(textsOf("a"), index));
    return { ...opened, place: { ...opened.place, index } };
  };
  const often = batch(1000);
  const pieces = new RecordPieces(4_000);
  pieces.read(often.place, 0, often.whole);
  for (let index = 1; index < 100; index++) {
    const once = batch(index);
    pieces.read(once.place, 0, once.whole);
    pieces.read(often.place, 0, often.whole);
    assert.ok(pieces.bytes <= 4_000);
  }
  assert.equal(often.seen.wholes, 1);
});

test("single records of large batches are those of read(), from memory and from disk, of `default` and of a named log", async () => {
  for (const frameCacheBytesMax of [0, 1 << 22]) {
    const log = await simMachine(3).open({}, { frameCacheBytesMax, readCacheBytesMax: 10_000 });
    const { log: info } = await log.change({ kind: "create", name: "a", settings: {} });
    const named = log.storedLog.view(info!.id);
    const texts: string[] = [];
    for (const [batch, size] of [800, 1, 700, 3].entries()) {
      const values = textsOf(String(batch), size);
      texts.push(...values);
      await log.append(run(...values));
      await log.append(run(...values), { log: { name: "a" } });
    }
    for (const reader of [log.storedLog.reader, named])
      for (const offset of [0, 799, 400, 800, 801, 1500, 1501, 1503, 401, 0]) {
        const slice = reader.readRecord(offset);
        assert.equal(valuesOf(slice, offset)[0], texts[offset]);
        const bytes = reader.recordBytes(offset);
        assert.ok(bytes >= slice.frames.length && bytes < 6_000, String(bytes));
      }
    for (const reader of [log.storedLog.reader, named]) {
      assert.throws(() => reader.readRecord(1504), { kind: "out-of-range" });
      assert.equal(reader.recordBytes(1504), 0);
    }
  }
});

test("damage in a batch that was checked before is found when its record is read", async () => {
  const log = await simMachine(4).open({}, { frameCacheBytesMax: 0, readCacheBytesMax: 10_000 });
  const { log: info } = await log.change({ kind: "create", name: "a", settings: {} });
  await log.append(run(...textsOf("d")));
  await log.append(run(...textsOf("n")), { log: { name: "a" } });
  // The newest batch is in memory.
  await log.append(run("newest"));
  const segment = log.storedLog.segments[0]!;
  const read = segment.read.bind(segment);
  let damaged = "";
  Object.defineProperty(segment, "read", {
    value: (target: Uint8Array, position: number) => {
      const filled = read(target, position);
      const at = damaged === "" ? -1 : Buffer.from(target.buffer, target.byteOffset, filled).indexOf(damaged);
      if (at >= 0) target[at]! ^= 1;
      return filled;
    },
  });
  for (const [reader, name] of [
    [log.storedLog.reader, "d"],
    [log.storedLog.view(info!.id), "n"],
  ] as const) {
    damaged = "";
    for (const offset of [500, 100]) reader.readRecord(offset);
    damaged = `${name} 500 `;
    assert.equal(valuesOf(reader.readRecord(100), 100)[0]!.slice(0, 6), `${name} 100 `);
    assert.throws(() => reader.readRecord(500), isCorrupt);
  }
});
