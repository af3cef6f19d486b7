import assert from "node:assert/strict";
import { test } from "node:test";
import type { H2Stream } from "../../../src/http2/h2-stream.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { budget, frame, headers, request, settings, u32, World } from "../../support/h2-harness.ts";

test("a request comes out and its answer goes out, trailers last", () => {
  const world = new World();
  world.feed(headers(1), frame(0, 1, 1, Buffer.from("body")));
  const [stream] = world.streams;
  assert.ok(stream);
  stream.respond(encodeBlock([[":status", "200"]]));
  stream.write(Buffer.from("answer"));
  stream.end(encodeBlock([["grpc-status", "0"]]));
  assert.deepEqual(
    world.sent().map(({ type, flags, stream: id }) => [type, flags, id]),
    [
      [1, 4, 1],
      [0, 0, 1],
      [1, 5, 1],
    ],
  );
  assert.equal(stream.closed, true);
  assert.equal(world.connection.streams, 0);
});

test("frames may be cut anywhere: pieces of any size mean the same", () => {
  const bytes = Buffer.concat([
    headers(1),
    frame(0, 0, 1, Buffer.from("abcdef")),
    frame(0, 8, 1, Buffer.from([2, 0x67, 0, 0])),
    frame(0, 0, 1),
    headers(3, true),
    frame(0, 1, 1, Buffer.from("hi")),
  ]);
  for (let size = 1; size <= bytes.length; size++) {
    const world = new World();
    const got: string[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      world.connection.feed(bytes.subarray(at, at + size));
      const [stream] = world.streams;
      if (stream === undefined || stream.onEnd !== undefined) continue;
      stream.onData = (chunk) => got.push(Buffer.from(chunk).toString());
      stream.onEnd = () => got.push(".");
      // What came in the same piece as the headers came before anybody listened.
      if (at + size > headers(1).length + 9) got.push("early");
    }
    assert.equal(world.streams.length, 2);
    if (!got.includes("early")) assert.equal(got.join(""), "abcdefghi.", `pieces of ${size}`);
    assert.equal(world.closed, false);
  }
});

test("nothing is sent beyond the stream's window, nor the connection's, and it goes on when there is more", () => {
  const world = new World();
  world.feed(settings([4, 10]), headers(1, true), headers(3, true));
  world.sent();
  const [one, two] = world.streams as [H2Stream, H2Stream];
  for (const stream of [one, two]) stream.respond(encodeBlock([[":status", "200"]]));
  one.write(Buffer.alloc(25, 1));
  one.end();
  const data = (): number[] =>
    world
      .sent()
      .filter(({ type }) => type === 0)
      .map(({ payload }) => payload.length);
  assert.deepEqual(data(), [10]);
  world.feed(frame(8, 0, 1, u32(5)));
  assert.deepEqual(data(), [5]);
  world.feed(settings([4, 0]));
  assert.deepEqual(data(), []);
  world.feed(frame(8, 0, 1, u32(20)));
  assert.deepEqual(data(), [10]);
  assert.equal(one.closed, true);
  world.feed(settings([4, 1_000_000]));
  const big = Buffer.alloc(100_000, 2);
  assert.equal(two.write(big), true, "all but what fits is waiting, and that is below the mark");
  const sent = data();
  assert.ok(sent.every((bytes) => bytes <= 16_384));
  assert.equal(
    sent.reduce((sum, bytes) => sum + bytes, 0),
    65_535 - 25,
  );
  world.feed(frame(8, 0, 0, u32(1_000_000)));
  assert.equal(
    data().reduce((sum, bytes) => sum + bytes, 0),
    100_000 - (65_535 - 25),
  );
});

test("streams that share the connection's window all get on, whoever was first", () => {
  const world = new World();
  world.feed(settings([4, 0x7fff_ffff]), headers(1, true), headers(3, true), headers(5, true));
  for (const stream of world.streams) {
    stream.respond(encodeBlock([[":status", "200"]]));
    stream.write(Buffer.alloc(10_000_000));
  }
  world.sent();
  const got = new Map<number, number>();
  for (let at = 0; at < 30; at++) {
    world.feed(frame(8, 0, 0, u32(30_000)));
    for (const { stream, payload } of world.sent()) got.set(stream, (got.get(stream) ?? 0) + payload.length);
  }
  assert.deepEqual([...got.values()], [300_000, 300_000, 300_000]);
});

test("a writer is asked to pause when its client takes nothing, and told when it may go on", () => {
  const world = new World();
  world.feed(settings([4, 0]), headers(1, true));
  const [stream] = world.streams as [H2Stream];
  let drained = 0;
  stream.onDrain = () => drained++;
  stream.respond(encodeBlock([[":status", "200"]]));
  assert.equal(stream.write(Buffer.alloc(1000)), true);
  assert.equal(stream.write(Buffer.alloc(100_000)), false);
  world.feed(frame(8, 0, 1, u32(40_000)));
  assert.equal(drained, 0);
  world.feed(frame(8, 0, 0, u32(1_000_000)), frame(8, 0, 1, u32(1_000_000)));
  assert.equal(drained, 1);
});

test("a paused stream grants no window, and grants it when resumed", () => {
  const world = new World({ streamWindow: 1000 });
  world.feed(headers(1));
  const [stream] = world.streams as [H2Stream];
  stream.pause();
  world.feed(frame(0, 0, 1, Buffer.alloc(900)));
  assert.deepEqual(
    world.sent().filter(({ type }) => type === 8),
    [],
  );
  stream.resume();
  const [grant] = world.sent().filter(({ type }) => type === 8);
  assert.equal(grant?.payload.readUInt32BE(0), 900);
  world.feed(frame(0, 0, 1, Buffer.alloc(1001)));
  assert.deepEqual(
    world.sent().map(({ type, payload }) => [type, payload.readUInt32BE(0)]),
    [[3, 3]],
    "more than the window is reset with FLOW_CONTROL_ERROR",
  );
});

test("opening and resetting streams without end ends the connection", () => {
  const world = new World({ frames: budget(200) });
  for (let stream = 1; stream < 2001 && !world.closed; stream += 2) {
    world.feed(headers(stream), frame(3, 0, stream, u32(8)));
  }
  assert.equal(world.goneWith(), 11);
  assert.ok(world.streams.length <= 102, `${world.streams.length} were opened`);
  assert.ok(world.streams.every(({ closed }) => closed));
});

test("a client that now and then cancels a stream is not taken for one that floods", () => {
  const world = new World({ frames: budget(20) });
  for (let stream = 1; stream < 1001; stream += 4) {
    world.feed(headers(stream), frame(3, 0, stream, u32(8)), headers(stream + 2, true));
    world.streams.at(-1)?.respond(encodeBlock([[":status", "200"]]));
    world.streams.at(-1)?.end();
    world.sent();
  }
  assert.equal(world.closed, false);
});

test("pings, settings, empty data and unknown frames without end are bounded too", () => {
  const floods: Record<string, Buffer> = {
    ping: frame(6, 0, 0, Buffer.alloc(8)),
    settings: settings(),
    "empty data": frame(0, 0, 1),
    unknown: frame(0x77, 0, 0, Buffer.alloc(3)),
    priority: frame(2, 0, 9, Buffer.alloc(5)),
  };
  for (const [name, flood] of Object.entries(floods)) {
    const world = new World({ frames: budget(50) });
    world.feed(headers(1));
    for (let at = 0; at < 60; at++) world.feed(flood);
    assert.equal(world.goneWith(), 11, name);
  }
});

test("a tail outlives the pings of its client: those that answer data, and those that keep it alive", () => {
  const world = new World({ frames: budget(10, 1) });
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  world.feed(headers(1, true));
  const [tail] = world.streams;
  tail?.respond(encodeBlock([[":status", "200"]]));
  for (let at = 0; at < 1000; at++) {
    tail?.write(Buffer.of(1));
    world.feed(ping);
  }
  assert.equal(world.closed, false);
  for (let at = 0; at < 1000; at++) {
    world.nowMs += 10_000;
    world.feed(ping);
  }
  assert.equal(world.closed, false);
  for (let at = 0; at < 2000; at++) world.feed(ping);
  assert.equal(world.closed, true, "but not a flood of them");
});

test("a header block that never ends is cut off", () => {
  const world = new World({ headerListBytesMax: 1000 });
  world.feed(frame(1, 0, 1, request));
  for (let at = 0; at < 10; at++) world.feed(frame(9, 0, 1, Buffer.alloc(1000)));
  assert.equal(world.goneWith(), 11);
});

test("too many streams are refused one by one, so that the client may try them again", () => {
  const world = new World({ streamsMax: 2 });
  world.feed(headers(1), headers(3), headers(5));
  assert.equal(world.streams.length, 2);
  const [reset] = world.sent().filter(({ type }) => type === 3);
  assert.deepEqual([reset?.stream, reset?.payload.readUInt32BE(0)], [5, 7]);
});

test("draining finishes what is under way, refuses what is new, and then ends", () => {
  const world = new World();
  world.feed(headers(1, true));
  world.connection.drain();
  world.feed(headers(3, true));
  assert.equal(world.streams.length, 1);
  assert.equal(world.closed, false);
  world.streams[0]?.respond(encodeBlock([[":status", "200"]]));
  world.streams[0]?.end();
  assert.equal(world.goneWith(), 0);
});

test("when the peer is gone every stream's server is told, once", () => {
  const world = new World();
  world.feed(headers(1), headers(3));
  let told = 0;
  for (const stream of world.streams) stream.onClose = () => told++;
  world.connection.disconnected();
  world.connection.disconnected();
  assert.equal(told, 2);
});

test("what was on its way when a stream was cut harms nobody: more data, trailers, the next request", () => {
  for (const cut of [
    (stream: H2Stream) => {
      stream.respond(encodeBlock([[":status", "200"]]));
      stream.end(encodeBlock([["grpc-status", "8"]]));
    },
    (stream: H2Stream) => stream.reset(8),
  ]) {
    const world = new World();
    world.feed(headers(1), frame(0, 0, 1, Buffer.from("body")));
    cut(world.streams[0] as H2Stream);
    assert.equal(world.sent().filter(({ type }) => type === 3).length, 1);
    world.feed(frame(0, 0, 1, Buffer.from("more")), frame(1, 5, 1, encodeBlock([["x-trailer", "y"]])));
    assert.deepEqual(world.sent(), []);
    world.feed(headers(3));
    assert.equal(world.streams.length, 2);
    assert.equal(world.closed, false);
    // After its trailers it is a closed stream like any other.
    world.feed(headers(1));
    assert.equal(world.goneWith(), 5);
  }
});

test("a refused stream's body and trailers are passed over", () => {
  const world = new World({ streamsMax: 1 });
  world.feed(headers(1), headers(3), frame(0, 0, 3, Buffer.from("body")));
  world.feed(frame(1, 5, 3, encodeBlock([["x-trailer", "y"]])));
  assert.deepEqual(
    world.sent().map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    [[3, 3, 7]],
  );
  assert.equal(world.closed, false);
});

test("a cut stream still has a window, and no more", () => {
  const world = new World({ streamWindow: 10 });
  world.feed(headers(1), frame(0, 0, 1, Buffer.from("four")));
  (world.streams[0] as H2Stream).reset(8);
  world.feed(frame(0, 0, 1, Buffer.from("six...")));
  assert.equal(world.closed, false);
  world.feed(frame(0, 0, 1, Buffer.from("!")));
  assert.equal(world.goneWith(), 3);
});

test("trailers on a stream that the client itself reset end the stream again, not the connection", () => {
  const world = new World();
  world.feed(headers(1), frame(3, 0, 1, u32(8)), frame(1, 5, 1, encodeBlock([["x-trailer", "y"]])));
  assert.deepEqual(
    world.sent().map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    [[3, 1, 5]],
  );
  assert.equal(world.closed, false);
});

test("of many cut streams only the latest are remembered", () => {
  const world = new World({ frames: budget(100_000) });
  for (let id = 1; id < 4001; id += 2) {
    world.feed(headers(id));
    world.streams.at(-1)?.reset(8);
  }
  world.sent();
  world.feed(frame(1, 5, 2001, encodeBlock([["x-trailer", "y"]])));
  assert.equal(world.closed, false);
  world.feed(frame(1, 5, 1, encodeBlock([["x-trailer", "y"]])));
  assert.equal(world.goneWith(), 5);
});

test("what serves a stream may throw anywhere: that stream is reset with INTERNAL_ERROR, and no other", () => {
  const boom = (): never => {
    throw new Error("boom");
  };
  const resets = (world: World): number[][] =>
    world
      .sent()
      .filter(({ type }) => type === 3)
      .map(({ stream, payload }) => [stream, payload.readUInt32BE(0)]);
  const cases: Readonly<Record<string, (world: World) => void>> = {
    "when it is opened": (world) => {
      world.serve = boom;
      world.feed(headers(1));
    },
    "at data": (world) => {
      world.serve = (stream) => (stream.onData = boom);
      world.feed(headers(1), frame(0, 0, 1, Buffer.from("x")));
    },
    "at the end of the request": (world) => {
      world.serve = (stream) => (stream.onEnd = boom);
      world.feed(headers(1, true));
    },
    "when there is window again": (world) => {
      world.serve = (stream) => {
        stream.onDrain = boom;
        stream.respond(encodeBlock([[":status", "200"]]));
        stream.write(Buffer.alloc(100_000));
      };
      world.feed(settings([4, 10]), headers(1), frame(8, 0, 1, u32(200_000)), frame(8, 0, 0, u32(200_000)));
    },
  };
  for (const [name, provoke] of Object.entries(cases)) {
    const world = new World();
    world.sent();
    provoke(world);
    assert.deepEqual(resets(world), [[1, 2]], name);
    assert.equal(world.failures.length, 1, name);
    world.serve = undefined;
    world.feed(headers(3, true));
    assert.equal(world.streams[1]?.closed, false, name);
    assert.equal(world.closed, false, name);
  }
});

test("what is told of the end of a stream may throw: the others hear of theirs", () => {
  const world = new World();
  let told = 0;
  world.serve = (stream) => {
    stream.onClose = () => {
      told++;
      throw new Error("boom");
    };
  };
  world.feed(headers(1), headers(3));
  world.connection.disconnected();
  assert.equal(told, 2);
  assert.equal(world.failures.length, 2);
});

test("a request that announces a body and ends without one is never served", () => {
  const world = new World();
  const lying = encodeBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/x"],
    ["content-length", "5"],
  ]);
  world.feed(frame(1, 5, 1, lying));
  assert.equal(world.streams.length, 0);
  const [reset] = world.sent();
  assert.deepEqual([reset?.type, reset?.payload.readUInt32BE(0)], [3, 1]);
});
