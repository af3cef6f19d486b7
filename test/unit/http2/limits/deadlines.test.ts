import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBlock } from "../../../../src/http2/hpack/encode-block.ts";
import { Deadlines } from "../../../../src/http2/limits/deadlines.ts";
import {
  frame,
  H2Harness,
  headers,
  preface,
  request,
  settings,
  u32,
} from "../../../support/http/h2-harness.ts";

const limits = { headersMs: 10, requestMs: 300, idleMs: 60 };
const now = (ms: number) => () => ms;

test("the time of a frame counts from its first byte; the next frame has its own time", () => {
  const deadlines = new Deadlines(limits, 0);
  deadlines.opened();
  assert.equal(deadlines.dueMs, 10);
  deadlines.incomplete(0, 5);
  assert.equal(deadlines.dueMs, 10);
  deadlines.incomplete(1, 8);
  assert.equal(deadlines.dueMs, 18);
  assert.deepEqual(deadlines.late(17), []);
  assert.equal(deadlines.late(18), "slow");
  deadlines.incomplete(undefined, 18);
  assert.equal(deadlines.dueMs, Infinity);
});

test("requests are late in the order in which they began, each once", () => {
  const deadlines = new Deadlines(limits, 0);
  deadlines.incomplete(undefined, 0);
  deadlines.opened();
  deadlines.awaitRequest(1, 0);
  deadlines.awaitRequest(3, 10);
  deadlines.awaitRequest(5, 20);
  deadlines.requestDone(3);
  assert.equal(deadlines.dueMs, 300);
  assert.deepEqual(deadlines.late(319), [1]);
  assert.deepEqual(deadlines.late(320), [5]);
  assert.equal(deadlines.dueMs, Infinity);
});

test("a connection is idle from the end of its last stream", () => {
  const deadlines = new Deadlines(limits, 0);
  deadlines.incomplete(undefined, 0);
  assert.equal(deadlines.dueMs, 60);
  deadlines.opened();
  assert.equal(deadlines.dueMs, Infinity);
  deadlines.closed(1, 1, now(100));
  assert.equal(deadlines.dueMs, Infinity);
  deadlines.closed(3, 0, now(200));
  assert.equal(deadlines.dueMs, 260);
  assert.equal(deadlines.late(260), "idle");
});

test("a connection without a preface, SETTINGS or the rest of a frame or header block ends", () => {
  const begun: Record<string, Buffer> = {
    nothing: Buffer.alloc(0),
    "half a preface": preface.subarray(0, 3),
    "the preface only": preface,
    "half a frame": Buffer.concat([preface, settings(), Buffer.of(0, 0)]),
    "half of HEADERS": Buffer.concat([preface, settings(), headers(1).subarray(0, 12)]),
    "a header block that is not finished": Buffer.concat([preface, settings(), frame(1, 1, 1, request)]),
    "a header block in small pieces": Buffer.concat([
      preface,
      settings(),
      frame(1, 1, 1, request),
      frame(9, 0, 1, Buffer.of(0x82)),
    ]),
  };
  for (const [name, bytes] of Object.entries(begun)) {
    const harness = new H2Harness({ times: limits }, bytes);
    assert.equal(harness.connection.dueMs, 10, name);
    harness.nowMs = 9;
    harness.connection.expire();
    assert.equal(harness.closed, false, name);
    harness.nowMs = 10;
    harness.connection.expire();
    assert.equal(harness.goAwayCode(), 11, name);
  }
});

test("CONTINUATION frames do not extend the time of a header block", () => {
  const harness = new H2Harness({ times: limits });
  harness.feed(frame(1, 1, 1, request));
  for (harness.nowMs = 1; harness.nowMs < 10; harness.nowMs++) harness.feed(frame(9, 0, 1, Buffer.of(0x82)));
  harness.connection.expire();
  assert.equal(harness.goAwayCode(), 11);
});

test("a frame that begins before the last one ends is not late", () => {
  const harness = new H2Harness({ times: limits });
  harness.feed(headers(1, true));
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  harness.feed(ping.subarray(0, 5));
  for (harness.nowMs = 5; harness.nowMs < 100; harness.nowMs += 5) {
    harness.feed(ping.subarray(5), ping.subarray(0, 5));
    harness.connection.expire();
  }
  assert.equal(harness.closed, false);
});

test("an idle connection ends without an error; one with a quiet tail does not end", () => {
  const idle = new H2Harness({ times: limits });
  idle.nowMs = 60;
  idle.connection.expire();
  assert.equal(idle.goAwayCode(), 0);
  const tail = new H2Harness({ times: limits });
  tail.feed(headers(1, true));
  tail.streams[0]?.respond(encodeBlock([[":status", "200"]]));
  assert.equal(tail.connection.dueMs, Infinity);
  tail.nowMs = 1e9;
  tail.connection.expire();
  assert.equal(tail.closed, false);
});

test("a request whose body does not arrive is timed out or reset; the other streams go on", () => {
  const harness = new H2Harness({ times: limits });
  const timedOut: number[] = [];
  harness.serve = (stream) => {
    if (stream.id === 1) stream.onTimeout = () => timedOut.push(stream.id);
    if (stream.id === 5) stream.allowLongRequest();
  };
  harness.feed(headers(1), headers(3), headers(5), headers(7, true));
  // A few bytes do not extend its time.
  harness.nowMs = 299;
  harness.feed(frame(0, 0, 1, Buffer.of(1)));
  harness.sent();
  harness.nowMs = 300;
  harness.connection.expire();
  assert.deepEqual(timedOut, [1]);
  assert.deepEqual(
    harness.sent().map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    [[3, 3, 8]],
  );
  assert.equal(harness.connection.streams, 3);
  // A stream whose server does nothing in onTimeout is reset later.
  harness.nowMs = 600;
  harness.connection.expire();
  assert.equal(harness.connection.streams, 2);
  assert.equal(harness.closed, false);
  assert.equal(harness.connection.dueMs, Infinity);
});

test("a complete response without window is reset after its time limit", () => {
  const harness = new H2Harness({ times: limits });
  harness.feed(settings([4, 0]), headers(1, true));
  const [stream] = harness.streams;
  stream?.respond(encodeBlock([[":status", "200"]]));
  stream?.write(Buffer.alloc(10));
  assert.equal(harness.connection.dueMs, Infinity, "a tail may wait");
  stream?.end();
  harness.nowMs = 299;
  harness.feed(frame(8, 0, 1, u32(1)));
  harness.nowMs = 300;
  harness.connection.expire();
  assert.equal(harness.connection.streams, 0);
});
