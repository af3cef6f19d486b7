import assert from "node:assert/strict";
import { test } from "node:test";
import { errorCode, frameFlag, frameType } from "../../../src/http2/frames/frames.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import type { H2Limits } from "../../../src/http2/limits/h2-limits.ts";
import { frame, H2Harness, headers, request } from "../../support/http/h2-harness.ts";

const { endHeaders, endStream } = frameFlag;
const block = (...fields: [string, string][]): Buffer => Buffer.concat([request, encodeBlock(fields)]);
const opening = (flags: number, stream: number, payload: Buffer): Buffer =>
  frame(frameType.headers, flags, stream, payload);
const continuation = (flags: number, stream: number, payload: Buffer): Buffer =>
  frame(frameType.continuation, flags, stream, payload);

function open(limits: Partial<H2Limits> = {}) {
  const harness = new H2Harness(limits);
  /** The streams that were reset since the last call, and the codes. */
  const resets = (): number[][] =>
    harness
      .sent()
      .filter(({ type }) => type === frameType.resetStream)
      .map(({ stream, payload }) => [stream, payload.readUInt32BE(0)]);
  return { harness, resets };
}

test("a header block may be split over any number of frames, and nothing may come between them", () => {
  const { harness } = open();
  harness.feed(opening(endStream, 1, request.subarray(0, 1)), continuation(0, 1, request.subarray(1, 2)));
  assert.equal(harness.streams.length, 0);
  harness.feed(continuation(endHeaders, 1, request.subarray(2)));
  assert.deepEqual([harness.streams.length, harness.streams[0]?.receiving], [1, false]);
  for (const between of [headers(5), continuation(endHeaders, 5, request), frame(0xfa, 0, 0)]) {
    const other = new H2Harness();
    other.feed(opening(0, 3, request), between);
    assert.equal(other.goAwayCode(), errorCode.protocol);
  }
});

test("a header block without end is limited", () => {
  const { harness } = open({ headerListBytesMax: 100 });
  harness.feed(opening(0, 1, Buffer.alloc(150)));
  assert.equal(harness.closed, false);
  harness.feed(continuation(0, 1, Buffer.alloc(51)));
  assert.equal(harness.goAwayCode(), errorCode.enhanceYourCalm);
});

test("a client opens streams with odd numbers only", () => {
  const { harness } = open();
  harness.feed(headers(2));
  assert.equal(harness.goAwayCode(), errorCode.protocol);
});

test("a malformed request and one with too many headers are refused, and the next one is served", () => {
  const { harness, resets } = open({ headerListBytesMax: 300 });
  harness.feed(opening(endHeaders | endStream, 1, encodeBlock([[":method", "GET"]])));
  harness.feed(opening(endHeaders | endStream, 3, block(["x", "y".repeat(300)])));
  harness.feed(headers(5, true));
  assert.deepEqual(resets(), [
    [1, errorCode.protocol],
    [3, errorCode.enhanceYourCalm],
  ]);
  assert.deepEqual(
    harness.streams.map(({ id }) => id),
    [5],
  );
});

test("trailers end a request, and trailers that do not are a mistake", () => {
  const { harness, resets } = open();
  const ended: number[] = [];
  harness.serve = (stream) => {
    stream.onEnd = () => ended.push(stream.id);
  };
  const trailers = encodeBlock([["x", "y"]]);
  harness.feed(headers(1), opening(endHeaders | endStream, 1, trailers));
  harness.feed(headers(3), opening(endHeaders, 3, trailers));
  harness.feed(headers(5), opening(endHeaders | endStream, 5, request));
  assert.deepEqual(ended, [1]);
  assert.deepEqual(resets(), [
    [3, errorCode.protocol],
    [5, errorCode.protocol],
  ]);
});

test("a server that throws on a request loses that stream only", () => {
  const { harness, resets } = open();
  harness.serve = ({ id }) => {
    if (id === 1) throw new Error("bug");
  };
  harness.feed(headers(1, true), headers(3));
  assert.equal((harness.failures[0] as Error).message, "bug");
  assert.deepEqual([resets(), harness.streams[1]?.closed], [[[1, errorCode.internal]], false]);
});
