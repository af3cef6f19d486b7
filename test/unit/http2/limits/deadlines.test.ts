import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBlock } from "../../../../src/http2/hpack/encode-block.ts";
import { Deadlines } from "../../../../src/http2/limits/deadlines.ts";
import { frame, headers, preface, request, settings, u32, World } from "../../../support/h2-harness.ts";

const limits = { headersMs: 10, requestMs: 300, idleMs: 60 };
const now = (ms: number) => () => ms;

test("a piece is late from its first byte on, whatever arrives of it; the time of the next one begins with it", () => {
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

test("requests are late in the order in which they began, and each once", () => {
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

test("a connection without a preface, settings or the rest of a frame or header block is ended", () => {
  const begun: Record<string, Buffer> = {
    nothing: Buffer.alloc(0),
    "half a preface": preface.subarray(0, 3),
    "the preface only": preface,
    "half a frame": Buffer.concat([preface, settings(), Buffer.of(0, 0)]),
    "half of HEADERS": Buffer.concat([preface, settings(), headers(1).subarray(0, 12)]),
    "a header block without its end": Buffer.concat([preface, settings(), frame(1, 1, 1, request)]),
    "a header block in crumbs": Buffer.concat([
      preface,
      settings(),
      frame(1, 1, 1, request),
      frame(9, 0, 1, Buffer.of(0x82)),
    ]),
  };
  for (const [name, bytes] of Object.entries(begun)) {
    const world = new World({ times: limits }, bytes);
    assert.equal(world.connection.dueMs, 10, name);
    world.nowMs = 9;
    world.connection.expire();
    assert.equal(world.closed, false, name);
    world.nowMs = 10;
    world.connection.expire();
    assert.equal(world.goneWith(), 11, name);
  }
});

test("a drip of CONTINUATION frames does not put off the end of a header block", () => {
  const world = new World({ times: limits });
  world.feed(frame(1, 1, 1, request));
  for (world.nowMs = 1; world.nowMs < 10; world.nowMs++) world.feed(frame(9, 0, 1, Buffer.of(0x82)));
  world.connection.expire();
  assert.equal(world.goneWith(), 11);
});

test("frames one after the other, each begun before the last ended, are not late", () => {
  const world = new World({ times: limits });
  world.feed(headers(1, true));
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  world.feed(ping.subarray(0, 5));
  for (world.nowMs = 5; world.nowMs < 100; world.nowMs += 5) {
    world.feed(ping.subarray(5), ping.subarray(0, 5));
    world.connection.expire();
  }
  assert.equal(world.closed, false);
});

test("an idle connection is ended in order, one with a quiet tail never", () => {
  const idle = new World({ times: limits });
  idle.nowMs = 60;
  idle.connection.expire();
  assert.equal(idle.goneWith(), 0);
  const tail = new World({ times: limits });
  tail.feed(headers(1, true));
  tail.streams[0]?.respond(encodeBlock([[":status", "200"]]));
  assert.equal(tail.connection.dueMs, Infinity);
  tail.nowMs = 1e9;
  tail.connection.expire();
  assert.equal(tail.closed, false);
});

test("a request whose body does not come is answered as late, or cut; the connection and other streams go on", () => {
  const world = new World({ times: limits });
  const told: number[] = [];
  world.serve = (stream) => {
    if (stream.id === 1) stream.onTimeout = () => told.push(stream.id);
    if (stream.id === 5) stream.allowLongRequest();
  };
  world.feed(headers(1), headers(3), headers(5), headers(7, true));
  // A drip does not put it off.
  world.nowMs = 299;
  world.feed(frame(0, 0, 1, Buffer.of(1)));
  world.sent();
  world.nowMs = 300;
  world.connection.expire();
  assert.deepEqual(told, [1]);
  assert.deepEqual(
    world.sent().map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    [[3, 3, 8]],
  );
  assert.equal(world.connection.streams, 3);
  // One that was told and does nothing is cut, too.
  world.nowMs = 600;
  world.connection.expire();
  assert.equal(world.connection.streams, 2);
  assert.equal(world.closed, false);
  assert.equal(world.connection.dueMs, Infinity);
});

test("an answer that the client grants no window for is cut in the end", () => {
  const world = new World({ times: limits });
  world.feed(settings([4, 0]), headers(1, true));
  const [stream] = world.streams;
  stream?.respond(encodeBlock([[":status", "200"]]));
  stream?.write(Buffer.alloc(10));
  assert.equal(world.connection.dueMs, Infinity, "a tail may wait");
  stream?.end();
  world.nowMs = 299;
  world.feed(frame(8, 0, 1, u32(1)));
  world.nowMs = 300;
  world.connection.expire();
  assert.equal(world.connection.streams, 0);
});
