import assert from "node:assert/strict";
import { test } from "node:test";
import { ClosedStreams } from "../../../src/http2/closed-streams.ts";
import { FrameWriter } from "../../../src/http2/frames/frame-writer.ts";
import { FrameMeter } from "../../../src/http2/limits/frame-meter.ts";

function closedStreams() {
  const writer = new FrameWriter({ onOutput: () => undefined });
  const meter = new FrameMeter({ burst: 10, savedMax: 10, perSecond: 0 }, { nowMs: 0 });
  const closed = new ClosedStreams(writer, meter);
  const sentBytes = (): number => Buffer.concat(writer.out.take()).length;
  return { closed, sentBytes };
}

const resetBytes = 13;

test("DATA on a stream that the server reset is ignored within its window", () => {
  const { closed, sentBytes } = closedStreams();
  closed.resetByServer(1, 10);
  closed.onData(1, 10, false);
  assert.equal(sentBytes(), 0);
  assert.throws(() => closed.onData(1, 1, false), { code: 3 });
});

test("after END_STREAM a stream that the server reset is an unknown closed stream", () => {
  const { closed, sentBytes } = closedStreams();
  closed.resetByServer(1, 10);
  closed.onData(1, 5, true);
  closed.onData(1, 1, false);
  assert.equal(sentBytes(), resetBytes);
  assert.throws(() => closed.onHeaders(1), { code: 5 });
});

test("HEADERS on a stream that the client reset are a stream error", () => {
  const { closed, sentBytes } = closedStreams();
  closed.resetByClient(1);
  closed.onHeaders(1);
  assert.equal(sentBytes(), resetBytes);
});

test("each refusal is charged", () => {
  const { closed } = closedStreams();
  for (let at = 0; at < 10; at++) closed.refuse(1, 5);
  assert.throws(() => closed.refuse(1, 5), { code: 11 });
});
