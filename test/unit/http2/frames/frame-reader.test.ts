import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameReader } from "../../../../src/http2/frames/frame-reader.ts";
import { frame, preface } from "../../../support/http/h2-harness.ts";

/** Collects the frames of a reader, with the pieces of a DATA frame joined. */
class Sink {
  readonly frames: string[] = [];
  /** How many frames it takes before the next read(). */
  capacity = Infinity;
  pieces = true;
  #piece = "";
  readonly reader = new FrameReader({
    onFrame: (type, flags, id, payload) => {
      this.capacity--;
      this.#piece += payload.toString("latin1");
      if (type === 0 && !(flags & 1)) return;
      this.frames.push(`${type} ${flags} ${id} ${this.#piece}`);
      this.#piece = "";
    },
    takesPieces: () => this.pieces,
    isFull: () => this.capacity <= 0,
  });
}

const bytes = Buffer.concat([
  preface,
  frame(4, 0, 0),
  frame(1, 4, 1, Buffer.from("headers")),
  frame(0, 1, 1, Buffer.from("a long piece of data")),
  frame(0, 9, 3, Buffer.from("padded")),
  frame(6, 0, 0, Buffer.from("12345678")),
]);
const expected = ["4 0 0 ", "1 4 1 headers", "0 1 1 a long piece of data", "0 9 3 padded", "6 0 0 12345678"];

test("chunks of any size give the same frames, whether DATA comes in pieces or not", () => {
  for (const pieces of [true, false]) {
    for (let size = 1; size <= bytes.length; size++) {
      const sink = new Sink();
      sink.pieces = pieces;
      for (let at = 0; at < bytes.length; at += size) sink.reader.read(bytes.subarray(at, at + size));
      assert.deepEqual(sink.frames, expected, `${size}`);
      assert.equal(sink.reader.hasRest, false);
      assert.equal(sink.reader.hasPartial, false);
    }
  }
});

test("a full sink gets the rest later and in order, even if more arrives meanwhile", () => {
  for (let cut = 1; cut < bytes.length; cut++) {
    const sink = new Sink();
    sink.capacity = 1;
    sink.reader.read(bytes.subarray(0, cut));
    sink.reader.read(bytes.subarray(cut));
    for (let turns = 0; sink.reader.hasRest; turns++) {
      assert.ok(turns < 20);
      sink.capacity = 1;
      sink.reader.read();
    }
    assert.deepEqual(sink.frames, expected, `${cut}`);
  }
});

test("a wrong preface or a frame that is too large is an error at the first byte that shows it", () => {
  assert.throws(() => new Sink().reader.read(Buffer.from("PRI * HTTP/1.1")), /preface/);
  const sink = new Sink();
  sink.reader.read(preface);
  assert.throws(() => sink.reader.read(Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 0, 1])), /too large/);
});
