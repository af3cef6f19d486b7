import assert from "node:assert/strict";
import { test } from "node:test";
import { checkFrame, encodeFrame } from "../../../../src/log/frame/frame.ts";
import { FramePieces, pieceBuffer, pieceRecords } from "../../../../src/log/frame/frame-pieces.ts";
import { batchKind, checkPayload, encodeRun, RecordCursor } from "../../../../src/log/mod.ts";
import { valuesOf } from "../../../support/log/logs.ts";

const header = { index: 9, term: 4, baseOffset: 1000, timestampMs: 77, kind: batchKind.data, logId: 3 };
const producer = { subject: "ann", id: 5n, epoch: 1, sequence: 8 };

function frameOf(values: readonly string[], withProducer = false): Uint8Array {
  const { bytes, count } = encodeRun(values.map((value) => ({ value: Buffer.from(value) })));
  return encodeFrame({ ...header, recordCount: count }, bytes, 1, withProducer ? producer : undefined);
}

/** The piece with this record, as it is read from the frame. */
function read(pieces: FramePieces, frame: Uint8Array, offset: number) {
  const piece = pieces.find(offset)!;
  const buffer = pieceBuffer(piece);
  pieceRecords(buffer).set(frame.subarray(piece.start, piece.start + piece.bytes));
  return { piece, slice: pieces.slice(piece, buffer) };
}

test("each record is in a piece of few KiB, with the header of its batch", () => {
  const values = Array.from({ length: 900 }, (_, n) => `${n} ${"x".repeat((n * 37) % 300)}`);
  values[500] = "y".repeat(20_000);
  for (const withProducer of [false, true]) {
    const frame = frameOf(values, withProducer);
    const pieces = new FramePieces(frame);
    for (const [at, value] of values.entries()) {
      const { piece, slice } = read(pieces, frame, 1000 + at);
      assert.ok(piece.bytes <= 5_000 + (piece.firstOffset <= 1500 && piece.nextOffset > 1500 ? 20_000 : 0));
      assert.ok(piece.firstOffset <= 1000 + at && 1000 + at < piece.nextOffset);
      const { frames, firstOffset, nextOffset } = slice!;
      assert.deepEqual([firstOffset, nextOffset], [piece.firstOffset, piece.nextOffset]);
      assert.equal(valuesOf(slice!, 1000 + at)[0], value);
      assert.deepEqual(
        [checkFrame(frames, 0, frames.length), checkPayload(frames, 0)],
        [undefined, undefined],
      );
      const cursor = new RecordCursor(frames, 1000 + at);
      assert.ok(cursor.next());
      assert.deepEqual([cursor.offset, cursor.term, cursor.timestampMs, cursor.index], [1000 + at, 4, 77, 9]);
    }
    assert.deepEqual([pieces.find(999), pieces.find(1900)], [undefined, undefined]);
    assert.ok(pieces.bytes < frame.length / 50, String(pieces.bytes));
  }
});

test("one record, and records that end with a piece", () => {
  for (const values of [["a"], ["x".repeat(5000)], ["x".repeat(5000), "y".repeat(5000)], ["", "", ""]]) {
    const frame = frameOf(values);
    const pieces = new FramePieces(frame);
    for (const [at, value] of values.entries())
      assert.equal(valuesOf(read(pieces, frame, 1000 + at).slice!, 1000 + at)[0], value);
  }
});

test("a piece with another byte is not that of the frame", () => {
  const frame = frameOf(Array.from({ length: 500 }, (_, n) => `value ${n}`));
  const pieces = new FramePieces(frame);
  const { start, bytes } = pieces.find(1300)!;
  for (const at of [start, start + bytes - 1]) {
    const damaged = frame.slice();
    damaged[at]! ^= 1;
    assert.equal(read(pieces, damaged, 1300).slice, undefined);
    assert.ok(read(pieces, damaged, 1000).slice !== undefined || start === pieces.find(1000)!.start);
  }
});
