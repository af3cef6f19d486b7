import assert from "node:assert/strict";
import { test } from "node:test";
import { errorCode, frameFlag, frameType } from "../../../src/http2/frames/frames.ts";
import type { H2Stream } from "../../../src/http2/h2-stream.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import type { H2Limits } from "../../../src/http2/limits/h2-limits.ts";
import { frame, H2Harness, request, u32 } from "../../support/http/h2-harness.ts";

const initialWindow = 65_535;
const ok = encodeBlock([[":status", "200"]]);

/** An open stream 1 whose request has these headers. */
function open(fields: [string, string][] = [], limits: Partial<H2Limits> = {}) {
  const harness = new H2Harness(limits);
  const head = Buffer.concat([request, encodeBlock(fields)]);
  harness.feed(frame(frameType.headers, frameFlag.endHeaders, 1, head));
  const stream = harness.streams[0] as H2Stream;
  const calls: string[] = [];
  stream.onData = (chunk) => calls.push(`data ${chunk.length}`);
  stream.onEnd = () => calls.push("end");
  stream.onClose = () => calls.push("close");
  const body = (bytes: number, end = false): void =>
    harness.feed(frame(frameType.data, end ? frameFlag.endStream : 0, 1, Buffer.alloc(bytes)));
  const grow = (bytes: number): void => {
    harness.feed(
      frame(frameType.windowUpdate, 0, 1, u32(bytes)),
      frame(frameType.windowUpdate, 0, 0, u32(bytes)),
    );
  };
  const resetCode = (): number | undefined =>
    harness
      .sent()
      .find(({ type }) => type === frameType.resetStream)
      ?.payload.readUInt32BE(0);
  return { harness, stream, calls, body, grow, resetCode };
}

test("a stream closes when both sides have ended, and onClose is its last callback", () => {
  const { stream, calls, body } = open();
  body(3, true);
  stream.respond(ok);
  assert.equal(stream.closed, false);
  stream.end();
  assert.deepEqual([stream.closed, calls], [true, ["data 3", "end", "close"]]);
});

test("a response that ends before its request resets the stream without an error", () => {
  const { stream, calls, body, resetCode } = open();
  stream.respond(ok);
  stream.end();
  body(3, true);
  assert.deepEqual([resetCode(), calls], [errorCode.none, ["close"]]);
});

test("nothing is sent after the end of a response, and no second response", () => {
  const { harness, stream, body } = open();
  body(0, true);
  harness.sent();
  stream.respond(ok);
  stream.respond(ok);
  stream.respondInformational(ok);
  stream.end(ok);
  assert.equal(stream.write(Buffer.from("late")), true);
  stream.end();
  assert.deepEqual(
    harness.sent().map(({ type, flags }) => [type, flags & frameFlag.endStream]),
    [
      [frameType.headers, 0],
      [frameType.headers, frameFlag.endStream],
    ],
  );
});

test("a body that differs from its content-length resets the stream", () => {
  for (const bytes of [4, 6]) {
    const { body, calls, resetCode } = open([["content-length", "5"]]);
    body(bytes, true);
    assert.deepEqual([resetCode(), calls.at(-1)], [errorCode.protocol, "close"]);
  }
});

test("a body beyond the window of the stream resets it, and so does one after its end", () => {
  const beyond = open([], { streamWindow: 10 });
  beyond.stream.pause();
  beyond.body(10);
  assert.equal(beyond.stream.closed, false);
  beyond.body(1);
  assert.equal(beyond.resetCode(), errorCode.flowControl);
  const after = open();
  after.body(1, true);
  after.body(1);
  assert.equal(after.resetCode(), errorCode.streamClosed);
});

test("a writer is called back once when the window that it lacks has come", () => {
  const { stream, grow } = open();
  stream.respond(ok);
  assert.equal(stream.writableBytes > 0, true);
  stream.write(Buffer.alloc(initialWindow));
  assert.equal(stream.writableBytes, 0);
  let calls = 0;
  stream.whenWritable(() => calls++);
  grow(100);
  grow(100);
  assert.deepEqual([calls, stream.writableBytes], [1, 200]);
});

test("write returns false above the mark of what waits, and onDrain comes when all of it has left", () => {
  const { stream, grow } = open();
  let drained = 0;
  stream.onDrain = () => drained++;
  stream.respond(ok);
  assert.equal(stream.write(Buffer.alloc(initialWindow + 64 * 1024)), true, "as much as may wait");
  assert.equal(stream.write(Buffer.alloc(1)), false);
  grow(64 * 1024);
  assert.equal(drained, 0);
  grow(1);
  assert.equal(drained, 1);
});

test("a request that takes too long is answered once if its server can, and never after its end", () => {
  const { stream, body } = open();
  let calls = 0;
  stream.onTimeout = () => calls++;
  assert.deepEqual([stream.timeOut(), stream.timeOut(), calls], [true, false, 1]);
  stream.onTimeout = () => calls++;
  body(0, true);
  assert.deepEqual([stream.timeOut(), calls], [false, 1]);
});

test("a reset stream sends nothing more and calls nobody back", () => {
  const { harness, stream, calls, body } = open();
  stream.write(Buffer.alloc(initialWindow));
  stream.whenWritable(() => calls.push("writable"));
  stream.whenSent(() => calls.push("sent"));
  stream.reset(errorCode.cancel);
  harness.sent();
  stream.write(Buffer.from("x"));
  stream.end();
  body(3);
  assert.deepEqual(calls, ["close"]);
  assert.deepEqual(harness.sent(), []);
});
