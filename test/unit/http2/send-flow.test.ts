import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameWriter } from "../../../src/http2/frames/frame-writer.ts";
import { FrameMeter } from "../../../src/http2/limits/frame-meter.ts";
import { SendFlow, type SendingStream } from "../../../src/http2/send-flow.ts";

const windowMax = 0x7fff_ffff;

function sendFlow({ burst = 1000 } = {}) {
  const writer = new FrameWriter({ onOutput: () => undefined });
  const meter = new FrameMeter({ burst, savedMax: burst, perSecond: 0 }, { nowMs: 0 });
  const flow = new SendFlow(writer, meter, undefined);
  return { writer, meter, flow };
}

/** A stream that counts its flushes, and waits again if `again` is set. */
function sender(flow: SendFlow, { granted = 0, again = false } = {}) {
  const stream = {
    granted,
    flushes: 0,
    get sendWindow() {
      return flow.initialStreamWindow + stream.granted;
    },
    flush() {
      stream.flushes++;
      if (again) flow.wait(stream, false);
    },
  };
  return stream satisfies SendingStream;
}

test("a DATA frame is limited by the request, both windows and the largest frame", () => {
  const { flow } = sendFlow();
  assert.equal(flow.take(100, 1000), 100);
  assert.equal(flow.take(100, 10), 10);
  assert.equal(flow.take(100_000, 100_000), 16_384);
  assert.equal(flow.take(100, 0), 0);
  assert.equal(flow.take(100, -5), 0);
  for (let at = 0; at < 2; at++) flow.take(16_384, windowMax);
  assert.equal(flow.take(100_000, windowMax), 65_535 - 100 - 10 - 3 * 16_384);
  assert.equal(flow.take(100, 1000), 0, "the connection's window is used up");
});

test("nothing can be sent while the socket is congested, and waiting streams go on afterwards", () => {
  const { flow } = sendFlow();
  const stream = sender(flow);
  flow.congested(true);
  assert.equal(flow.writableBytes(1000), 0);
  flow.wait(stream, false);
  assert.equal(stream.flushes, 0);
  flow.congested(false);
  assert.equal(stream.flushes, 1);
  assert.equal(flow.writableBytes(1000), 1000);
});

test("a full output buffer makes streams wait until it is flushed", () => {
  const { flow, writer } = sendFlow();
  const stream = sender(flow);
  writer.out.add(Buffer.alloc(2 * 1024 * 1024));
  assert.equal(flow.take(10, 1000), 0);
  flow.wait(stream, false);
  writer.out.take();
  flow.flushed();
  assert.equal(stream.flushes, 1);
});

test("a starved stream waits for its own window, not for the connection's", () => {
  const { flow } = sendFlow();
  const stream = sender(flow, { granted: -65_535 });
  flow.wait(stream, true);
  flow.grow(100);
  assert.equal(stream.flushes, 0);
  stream.granted += 10;
  flow.streamGrew(stream);
  assert.equal(stream.flushes, 1);
});

test("a removed stream is not flushed", () => {
  const { flow } = sendFlow();
  const stream = sender(flow);
  flow.wait(stream, false);
  flow.remove(stream);
  flow.grow(100);
  assert.equal(stream.flushes, 0);
});

test("a window above 2^31-1 is a flow-control error", () => {
  const { flow } = sendFlow();
  assert.throws(() => flow.grow(0), { code: 1 });
  assert.throws(() => flow.grow(windowMax), { code: 3 });
  assert.throws(() => flow.setInitialStreamWindow(windowMax + 1, new Map()), { code: 3 });
});

test("an initial window that overflows an open stream is an error, a closed stream does not count", () => {
  const { flow } = sendFlow();
  const stream = sender(flow, { granted: 1000 });
  flow.streamGrew(stream);
  flow.setInitialStreamWindow(windowMax, new Map());
  flow.streamGrew(stream);
  assert.throws(() => flow.setInitialStreamWindow(windowMax, new Map([[1, stream]])), { code: 3 });
});

test("a DATA frame below 256 bytes that a window caused is charged", () => {
  const { flow, meter } = sendFlow({ burst: 10 });
  assert.equal(flow.take(100, 100), 100);
  meter.charge(1);
  for (let at = 0; at < 3; at++) assert.equal(flow.take(100, 1), 1);
  assert.throws(() => meter.charge(1), { code: 11 });
});
