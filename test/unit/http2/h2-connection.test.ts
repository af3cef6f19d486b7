import assert from "node:assert/strict";
import { test } from "node:test";
import type { H2Stream } from "../../../src/http2/h2-stream.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { budget, frame, H2Harness, headers, request, settings, u32 } from "../../support/http/h2-harness.ts";

test("a request is served and its response is sent, trailers last", () => {
  const harness = new H2Harness();
  harness.feed(headers(1), frame(0, 1, 1, Buffer.from("body")));
  const [stream] = harness.streams;
  assert.ok(stream);
  stream.respond(encodeBlock([[":status", "200"]]));
  stream.write(Buffer.from("answer"));
  stream.end(encodeBlock([["grpc-status", "0"]]));
  assert.deepEqual(
    harness.sent().map(({ type, flags, stream: id }) => [type, flags, id]),
    [
      [1, 4, 1],
      [0, 0, 1],
      [1, 5, 1],
    ],
  );
  assert.equal(stream.closed, true);
  assert.equal(harness.connection.streams, 0);
});

test("frames may arrive in pieces of any size", () => {
  const bytes = Buffer.concat([
    headers(1),
    frame(0, 0, 1, Buffer.from("abcdef")),
    frame(0, 8, 1, Buffer.from([2, 0x67, 0, 0])),
    frame(0, 0, 1),
    headers(3, true),
    frame(0, 1, 1, Buffer.from("hi")),
  ]);
  for (let size = 1; size <= bytes.length; size++) {
    const harness = new H2Harness();
    const got: string[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      harness.connection.feed(bytes.subarray(at, at + size));
      const [stream] = harness.streams;
      if (stream === undefined || stream.onEnd !== undefined) continue;
      stream.onData = (chunk) => got.push(Buffer.from(chunk).toString());
      stream.onEnd = () => got.push(".");
      // Bytes in the same piece as the headers arrived before onData was set.
      if (at + size > headers(1).length + 9) got.push("early");
    }
    assert.equal(harness.streams.length, 2);
    if (!got.includes("early")) assert.equal(got.join(""), "abcdefghi.", `pieces of ${size}`);
    assert.equal(harness.closed, false);
  }
});

test("DATA is sent within the windows of the stream and the connection, and goes on when they grow", () => {
  const harness = new H2Harness();
  harness.feed(settings([4, 10]), headers(1, true), headers(3, true));
  harness.sent();
  const [one, two] = harness.streams as [H2Stream, H2Stream];
  for (const stream of [one, two]) stream.respond(encodeBlock([[":status", "200"]]));
  one.write(Buffer.alloc(25, 1));
  one.end();
  const data = (): number[] =>
    harness
      .sent()
      .filter(({ type }) => type === 0)
      .map(({ payload }) => payload.length);
  assert.deepEqual(data(), [10]);
  harness.feed(frame(8, 0, 1, u32(5)));
  assert.deepEqual(data(), [5]);
  harness.feed(settings([4, 0]));
  assert.deepEqual(data(), []);
  harness.feed(frame(8, 0, 1, u32(20)));
  assert.deepEqual(data(), [10]);
  assert.equal(one.closed, true);
  harness.feed(settings([4, 1_000_000]));
  const big = Buffer.alloc(100_000, 2);
  assert.equal(two.write(big), true, "the bytes that wait are below the mark");
  const sent = data();
  assert.ok(sent.every((bytes) => bytes <= 16_384));
  assert.equal(
    sent.reduce((sum, bytes) => sum + bytes, 0),
    65_535 - 25,
  );
  harness.feed(frame(8, 0, 0, u32(1_000_000)));
  assert.equal(
    data().reduce((sum, bytes) => sum + bytes, 0),
    100_000 - (65_535 - 25),
  );
});

test("streams share the connection's window equally", () => {
  const harness = new H2Harness();
  harness.feed(settings([4, 0x7fff_ffff]), headers(1, true), headers(3, true), headers(5, true));
  for (const stream of harness.streams) {
    stream.respond(encodeBlock([[":status", "200"]]));
    stream.write(Buffer.alloc(10_000_000));
  }
  harness.sent();
  const got = new Map<number, number>();
  for (let at = 0; at < 30; at++) {
    harness.feed(frame(8, 0, 0, u32(30_000)));
    for (const { stream, payload } of harness.sent())
      got.set(stream, (got.get(stream) ?? 0) + payload.length);
  }
  assert.deepEqual([...got.values()], [300_000, 300_000, 300_000]);
});

test("write() returns false while its client takes nothing, and onDrain reports when the output has left", () => {
  const harness = new H2Harness();
  harness.feed(settings([4, 0]), headers(1, true));
  const [stream] = harness.streams as [H2Stream];
  let drained = 0;
  stream.onDrain = () => drained++;
  stream.respond(encodeBlock([[":status", "200"]]));
  assert.equal(stream.write(Buffer.alloc(1000)), true);
  assert.equal(stream.write(Buffer.alloc(100_000)), false);
  harness.feed(frame(8, 0, 1, u32(40_000)));
  assert.equal(drained, 0);
  harness.feed(frame(8, 0, 0, u32(1_000_000)), frame(8, 0, 1, u32(1_000_000)));
  assert.equal(drained, 1);
});

test("a paused stream grants no window until it is resumed", () => {
  const harness = new H2Harness({ streamWindow: 1000 });
  harness.feed(headers(1));
  const [stream] = harness.streams as [H2Stream];
  stream.pause();
  harness.feed(frame(0, 0, 1, Buffer.alloc(900)));
  assert.deepEqual(
    harness.sent().filter(({ type }) => type === 8),
    [],
  );
  stream.resume();
  const [grant] = harness.sent().filter(({ type }) => type === 8);
  assert.equal(grant?.payload.readUInt32BE(0), 900);
  harness.feed(frame(0, 0, 1, Buffer.alloc(1001)));
  assert.deepEqual(
    harness.sent().map(({ type, payload }) => [type, payload.readUInt32BE(0)]),
    [[3, 3]],
    "more than the window is reset with FLOW_CONTROL_ERROR",
  );
});

test("a client that opens and resets streams without end is disconnected", () => {
  const harness = new H2Harness({ frames: budget(200) });
  for (let stream = 1; stream < 2001 && !harness.closed; stream += 2) {
    harness.feed(headers(stream), frame(3, 0, stream, u32(8)));
  }
  assert.equal(harness.goAwayCode(), 11);
  assert.ok(harness.streams.length <= 102, `${harness.streams.length} were opened`);
  assert.ok(harness.streams.every(({ closed }) => closed));
});

test("a client that cancels every other stream is not disconnected", () => {
  const harness = new H2Harness({ frames: budget(20) });
  for (let stream = 1; stream < 1001; stream += 4) {
    harness.feed(headers(stream), frame(3, 0, stream, u32(8)), headers(stream + 2, true));
    harness.streams.at(-1)?.respond(encodeBlock([[":status", "200"]]));
    harness.streams.at(-1)?.end();
    harness.sent();
  }
  assert.equal(harness.closed, false);
});

test("a client that sends pings, settings, empty DATA or unknown frames without end is disconnected", () => {
  const floods: Record<string, Buffer> = {
    ping: frame(6, 0, 0, Buffer.alloc(8)),
    settings: settings(),
    "empty data": frame(0, 0, 1),
    unknown: frame(0x77, 0, 0, Buffer.alloc(3)),
    priority: frame(2, 0, 9, Buffer.alloc(5)),
  };
  for (const [name, flood] of Object.entries(floods)) {
    const harness = new H2Harness({ frames: budget(50) });
    harness.feed(headers(1));
    for (let at = 0; at < 60; at++) harness.feed(flood);
    assert.equal(harness.goAwayCode(), 11, name);
  }
});

test("a client may ping for each DATA frame, and as keepalive while a tail is quiet", () => {
  const harness = new H2Harness({ frames: budget(10, 1) });
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  harness.feed(headers(1, true));
  const [tail] = harness.streams;
  tail?.respond(encodeBlock([[":status", "200"]]));
  for (let at = 0; at < 1000; at++) {
    tail?.write(Buffer.of(1));
    harness.feed(ping);
  }
  assert.equal(harness.closed, false);
  for (let at = 0; at < 1000; at++) {
    harness.nowMs += 10_000;
    harness.feed(ping);
  }
  assert.equal(harness.closed, false);
  for (let at = 0; at < 2000; at++) harness.feed(ping);
  assert.equal(harness.closed, true, "a flood of pings ends the connection");
});

test("a header block without end ends the connection", () => {
  const harness = new H2Harness({ headerListBytesMax: 1000 });
  harness.feed(frame(1, 0, 1, request));
  for (let at = 0; at < 10; at++) harness.feed(frame(9, 0, 1, Buffer.alloc(1000)));
  assert.equal(harness.goAwayCode(), 11);
});

test("streams above the limit are refused, so that the client can retry them", () => {
  const harness = new H2Harness({ streamsMax: 2 });
  harness.feed(headers(1), headers(3), headers(5));
  assert.equal(harness.streams.length, 2);
  const [reset] = harness.sent().filter(({ type }) => type === 3);
  assert.deepEqual([reset?.stream, reset?.payload.readUInt32BE(0)], [5, 7]);
});

test("a draining connection finishes its streams, refuses new ones, and then ends", () => {
  const harness = new H2Harness();
  harness.feed(headers(1, true));
  harness.connection.drain();
  harness.feed(headers(3, true));
  assert.equal(harness.streams.length, 1);
  assert.equal(harness.closed, false);
  harness.streams[0]?.respond(encodeBlock([[":status", "200"]]));
  harness.streams[0]?.end();
  assert.equal(harness.goAwayCode(), 0);
});

test("when the client disconnects, each stream calls onClose once", () => {
  const harness = new H2Harness();
  harness.feed(headers(1), headers(3));
  let closed = 0;
  for (const stream of harness.streams) stream.onClose = () => closed++;
  harness.connection.disconnected();
  harness.connection.disconnected();
  assert.equal(closed, 2);
});

test("DATA and trailers that were on their way when a stream was reset are ignored", () => {
  for (const end of [
    (stream: H2Stream) => {
      stream.respond(encodeBlock([[":status", "200"]]));
      stream.end(encodeBlock([["grpc-status", "8"]]));
    },
    (stream: H2Stream) => stream.reset(8),
  ]) {
    const harness = new H2Harness();
    harness.feed(headers(1), frame(0, 0, 1, Buffer.from("body")));
    end(harness.streams[0] as H2Stream);
    assert.equal(harness.sent().filter(({ type }) => type === 3).length, 1);
    harness.feed(frame(0, 0, 1, Buffer.from("more")), frame(1, 5, 1, encodeBlock([["x-trailer", "y"]])));
    assert.deepEqual(harness.sent(), []);
    harness.feed(headers(3));
    assert.equal(harness.streams.length, 2);
    assert.equal(harness.closed, false);
    // After its trailers it is a closed stream like any other.
    harness.feed(headers(1));
    assert.equal(harness.goAwayCode(), 5);
  }
});

test("the body and trailers of a refused stream are ignored", () => {
  const harness = new H2Harness({ streamsMax: 1 });
  harness.feed(headers(1), headers(3), frame(0, 0, 3, Buffer.from("body")));
  harness.feed(frame(1, 5, 3, encodeBlock([["x-trailer", "y"]])));
  assert.deepEqual(
    harness.sent().map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    [[3, 3, 7]],
  );
  assert.equal(harness.closed, false);
});

test("a reset stream keeps its window, and the client must not exceed it", () => {
  const harness = new H2Harness({ streamWindow: 10 });
  harness.feed(headers(1), frame(0, 0, 1, Buffer.from("four")));
  (harness.streams[0] as H2Stream).reset(8);
  harness.feed(frame(0, 0, 1, Buffer.from("six...")));
  assert.equal(harness.closed, false);
  harness.feed(frame(0, 0, 1, Buffer.from("!")));
  assert.equal(harness.goAwayCode(), 3);
});

test("trailers on a stream that the client reset are a stream error", () => {
  const harness = new H2Harness();
  harness.feed(headers(1), frame(3, 0, 1, u32(8)), frame(1, 5, 1, encodeBlock([["x-trailer", "y"]])));
  assert.deepEqual(
    harness.sent().map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    [[3, 1, 5]],
  );
  assert.equal(harness.closed, false);
});

test("only the latest reset streams are kept", () => {
  const harness = new H2Harness({ frames: budget(100_000) });
  for (let id = 1; id < 4001; id += 2) {
    harness.feed(headers(id));
    harness.streams.at(-1)?.reset(8);
  }
  harness.sent();
  harness.feed(frame(1, 5, 2001, encodeBlock([["x-trailer", "y"]])));
  assert.equal(harness.closed, false);
  harness.feed(frame(1, 5, 1, encodeBlock([["x-trailer", "y"]])));
  assert.equal(harness.goAwayCode(), 5);
});

test("when a callback of a stream throws, only that stream is reset, with INTERNAL_ERROR", () => {
  const boom = (): never => {
    throw new Error("boom");
  };
  const resets = (harness: H2Harness): number[][] =>
    harness
      .sent()
      .filter(({ type }) => type === 3)
      .map(({ stream, payload }) => [stream, payload.readUInt32BE(0)]);
  const cases: Readonly<Record<string, (harness: H2Harness) => void>> = {
    "when it is opened": (harness) => {
      harness.serve = boom;
      harness.feed(headers(1));
    },
    "at data": (harness) => {
      harness.serve = (stream) => (stream.onData = boom);
      harness.feed(headers(1), frame(0, 0, 1, Buffer.from("x")));
    },
    "at the end of the request": (harness) => {
      harness.serve = (stream) => (stream.onEnd = boom);
      harness.feed(headers(1, true));
    },
    "when there is window again": (harness) => {
      harness.serve = (stream) => {
        stream.onDrain = boom;
        stream.respond(encodeBlock([[":status", "200"]]));
        stream.write(Buffer.alloc(100_000));
      };
      harness.feed(settings([4, 10]), headers(1), frame(8, 0, 1, u32(200_000)), frame(8, 0, 0, u32(200_000)));
    },
  };
  for (const [name, provoke] of Object.entries(cases)) {
    const harness = new H2Harness();
    harness.sent();
    provoke(harness);
    assert.deepEqual(resets(harness), [[1, 2]], name);
    assert.equal(harness.failures.length, 1, name);
    harness.serve = undefined;
    harness.feed(headers(3, true));
    assert.equal(harness.streams[1]?.closed, false, name);
    assert.equal(harness.closed, false, name);
  }
});

test("when an onClose throws, the other streams still call theirs", () => {
  const harness = new H2Harness();
  let closed = 0;
  harness.serve = (stream) => {
    stream.onClose = () => {
      closed++;
      throw new Error("boom");
    };
  };
  harness.feed(headers(1), headers(3));
  harness.connection.disconnected();
  assert.equal(closed, 2);
  assert.equal(harness.failures.length, 2);
});

test("a request that announces a body and ends without one is not served", () => {
  const harness = new H2Harness();
  const lying = encodeBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/x"],
    ["content-length", "5"],
  ]);
  harness.feed(frame(1, 5, 1, lying));
  assert.equal(harness.streams.length, 0);
  const [reset] = harness.sent();
  assert.deepEqual([reset?.type, reset?.payload.readUInt32BE(0)], [3, 1]);
});
