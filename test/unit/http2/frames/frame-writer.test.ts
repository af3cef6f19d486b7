import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameReader } from "../../../../src/http2/frames/frame-reader.ts";
import { FrameWriter } from "../../../../src/http2/frames/frame-writer.ts";
import { preface } from "../../../support/http/h2-harness.ts";

function frameWriter() {
  let wakes = 0;
  const writer = new FrameWriter({
    onOutput: () => {
      wakes++;
    },
  });
  /** The frames since the last call, as `type flags stream length`. */
  const frames = (): string[] => {
    const found: string[] = [];
    const reader = new FrameReader({
      onFrame: (type, flags, id, payload) => found.push(`${type} ${flags} ${id} ${payload.length}`),
      takesPieces: () => false,
      isFull: () => false,
    });
    reader.read(Buffer.concat([preface, ...writer.out.take()]));
    return found;
  };
  return { writer, frames, wakes: () => wakes };
}

test("a header block above the frame size continues in CONTINUATION frames", () => {
  const { writer, frames } = frameWriter();
  writer.headers(1, Buffer.alloc(10), true);
  writer.headers(3, Buffer.alloc(16_384), false);
  writer.headers(5, Buffer.alloc(40_000), true);
  assert.deepEqual(frames(), [
    "1 5 1 10",
    "1 4 3 16384",
    "1 1 5 16384",
    "9 0 5 16384",
    `9 4 5 ${40_000 - 2 * 16_384}`,
  ]);
});

test("every frame type has its form", () => {
  const { writer, frames, wakes } = frameWriter();
  writer.data(1, Buffer.alloc(5), true);
  writer.reset(1, 8);
  writer.windowUpdate(0, 100);
  writer.settings([[3, 100]]);
  writer.settingsAck();
  writer.pingAck(Buffer.alloc(8));
  writer.goAway(7, 1, "why");
  assert.deepEqual(frames(), ["0 1 1 5", "3 0 1 4", "8 0 0 4", "4 0 0 6", "4 1 0 0", "6 1 0 8", "7 0 0 11"]);
  assert.equal(wakes(), 7);
});

test("a closed writer drops frames", () => {
  const { writer, frames } = frameWriter();
  writer.close();
  writer.headers(1, Buffer.alloc(1), false);
  writer.data(1, Buffer.alloc(1), false);
  writer.reset(1, 0);
  writer.goAway(1);
  assert.deepEqual(frames(), []);
});
