import assert from "node:assert/strict";
import { test } from "node:test";
import { errorCode, frameFlag, frameType, setting } from "../../../src/http2/frames/frames.ts";
import { budget, frame, H2Harness, headers, preface, settings, u32 } from "../../support/http/h2-harness.ts";

const { protocol, frameSize } = errorCode;

/** The code with which the connection ends after a frame. Stream 1 is open. */
function codeAfter(...frames: Buffer[]): number | undefined {
  const harness = new H2Harness();
  harness.feed(headers(1));
  harness.sent();
  harness.feed(...frames);
  return harness.goAwayCode();
}

test("a connection begins with SETTINGS", () => {
  const harness = new H2Harness({}, preface);
  harness.feed(frame(frameType.ping, 0, 0, Buffer.alloc(8)));
  assert.equal(harness.goAwayCode(), protocol);
});

test("a frame on a stream where its type may not stand ends the connection", () => {
  for (const [type, stream, payload] of [
    [frameType.data, 3, Buffer.alloc(1)],
    [frameType.resetStream, 3, u32(8)],
    [frameType.resetStream, 2, u32(8)],
    [frameType.windowUpdate, 3, u32(1)],
    [frameType.priority, 0, Buffer.alloc(5)],
    [frameType.settings, 1, Buffer.alloc(0)],
    [frameType.ping, 1, Buffer.alloc(8)],
    [frameType.goAway, 1, Buffer.alloc(8)],
    [frameType.pushPromise, 1, Buffer.alloc(4)],
    [frameType.continuation, 1, Buffer.alloc(0)],
  ] as const) {
    assert.equal(codeAfter(frame(type, 0, stream, payload)), protocol, `type ${type} on stream ${stream}`);
  }
});

test("a frame of a size that its type cannot have ends the connection", () => {
  for (const [type, flags, stream, bytes] of [
    [frameType.resetStream, 0, 1, 3],
    [frameType.settings, 0, 0, 5],
    [frameType.settings, frameFlag.ack, 0, 6],
    [frameType.ping, 0, 0, 7],
    [frameType.goAway, 0, 0, 7],
    [frameType.windowUpdate, 0, 1, 5],
  ] as const) {
    assert.equal(codeAfter(frame(type, flags, stream, Buffer.alloc(bytes))), frameSize, `type ${type}`);
  }
});

test("a setting outside its range ends the connection, an unknown one is ignored", () => {
  for (const [name, value] of [
    [setting.enablePush, 2],
    [setting.maxFrameSize, 16_383],
    [setting.maxFrameSize, 0x100_0000],
  ] as const) {
    assert.equal(codeAfter(settings([name, value])), protocol, `setting ${name}`);
  }
  assert.equal(codeAfter(settings([0xff, 7], [setting.maxFrameSize, 16_384])), undefined);
});

test("SETTINGS and PING are acknowledged, an acknowledgment is not", () => {
  const harness = new H2Harness();
  const data = Buffer.from("12345678");
  harness.feed(settings(), frame(frameType.settings, frameFlag.ack, 0));
  harness.feed(frame(frameType.ping, 0, 0, data), frame(frameType.ping, frameFlag.ack, 0, data));
  assert.deepEqual(
    harness.sent().map(({ type, flags, payload }) => [type, flags, payload.toString()]),
    [
      [frameType.settings, frameFlag.ack, ""],
      [frameType.ping, frameFlag.ack, "12345678"],
    ],
  );
});

test("a mistake that concerns one stream resets that stream only", () => {
  for (const [payload, type, code] of [
    [u32(0), frameType.windowUpdate, protocol],
    [u32(0x7fff_ffff), frameType.windowUpdate, errorCode.flowControl],
    [Buffer.alloc(4), frameType.priority, frameSize],
    [Buffer.concat([u32(1), Buffer.alloc(1)]), frameType.priority, protocol],
  ] as const) {
    const harness = new H2Harness();
    harness.feed(headers(1), headers(3));
    harness.sent();
    harness.feed(frame(type, 0, 1, payload));
    assert.deepEqual(
      harness.sent().map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
      [[frameType.resetStream, 1, code]],
    );
    assert.deepEqual([harness.closed, harness.streams[1]?.closed], [false, false]);
  }
});

test("frames of an unknown type are ignored, but charged", () => {
  const harness = new H2Harness({ frames: budget(10) });
  const unknown = frame(0xfa, 0, 9, Buffer.from("x"));
  for (let at = 0; at < 9; at++) harness.feed(unknown);
  assert.equal(harness.closed, false);
  harness.feed(unknown, unknown);
  assert.equal(harness.goAwayCode(), errorCode.enhanceYourCalm);
});
