/** Frames made to cost the server work (RFC 9113 §10.5), and clients whose frames look alike and are honest. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { H2Stream } from "../../../src/http2/h2-stream.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { budget, frame, headers, settings, u32, World } from "../../support/h2-harness.ts";

const calm = 11;
const ok = encodeBlock([[":status", "200"]]);
const ping = frame(6, 0, 0, Buffer.alloc(8));
const update = (stream: number, bytes: number): Buffer => frame(8, 0, stream, u32(bytes));
const cancel = (stream: number): Buffer => frame(3, 0, stream, u32(8));
const unmetered = { frames: budget(1e9) };

const much = Buffer.alloc(1_000_000);

/** A connection with streams that have more to send than they may. */
function blocked(streams: number, initialWindow: number, limits = {}): World {
  const world = new World(limits);
  world.feed(settings([4, initialWindow]));
  for (let at = 0; at < streams; at++) world.feed(headers(2 * at + 1, true));
  for (const stream of world.streams) {
    stream.respond(ok);
    stream.write(much);
  }
  world.sent();
  return world;
}

/** CPU time of `work`, milliseconds. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Frames that the connection took until it ended. */
function taken(world: World, next: (at: number) => Buffer, most: number): number {
  let count = 0;
  while (count < most && !world.closed) world.feed(next(count++));
  return count;
}

test("each frame that brings no request forward is counted, whatever its type and its stream's state", () => {
  const floods: Record<string, (at: number) => Buffer> = {
    "SETTINGS ACK": () => frame(4, 1, 0),
    SETTINGS: () => settings(),
    PING: () => ping,
    "PING ACK": () => frame(6, 1, 0, Buffer.alloc(8)),
    GOAWAY: () => frame(7, 0, 0, Buffer.alloc(8)),
    "WINDOW_UPDATE of the connection": () => update(0, 1),
    "WINDOW_UPDATE of a stream": () => update(1, 1),
    "WINDOW_UPDATE of a closed stream": () => update(3, 1),
    "RST_STREAM of a closed stream": () => cancel(3),
    "empty DATA": () => frame(0, 0, 1),
    "padded empty DATA": () => frame(0, 8, 1, Buffer.concat([Buffer.of(200), Buffer.alloc(200)])),
    "PRIORITY of an idle stream": (at) => frame(2, 0, 9 + 2 * at, Buffer.alloc(5)),
    "PRIORITY of a wrong size": () => frame(2, 0, 9, Buffer.alloc(4)),
    "unknown type": () => frame(0x77, 0, 1, Buffer.alloc(3)),
  };
  for (const [name, flood] of Object.entries(floods)) {
    const world = new World({ frames: budget(100) });
    world.feed(headers(1), headers(3, true));
    world.streams[1]?.reset(8);
    world.sent();
    taken(world, flood, 200);
    assert.equal(world.goneWith(), calm, name);
  }
});

test("a header block in crumbs is counted by its CONTINUATION frames", () => {
  const world = new World({ frames: budget(100) });
  world.feed(frame(1, 1, 1));
  assert.ok(taken(world, () => frame(9, 0, 1, Buffer.of(0x82)), 1000) < 110);
  assert.equal(world.goneWith(), calm);
});

test("a mistake that makes the server reset a stream costs as much as a client's reset", () => {
  const mistakes: Record<string, (id: number) => Buffer> = {
    "WINDOW_UPDATE of 0": (id) => update(id, 0),
    "WINDOW_UPDATE beyond the largest window": (id) => update(id, 0x7fff_ffff),
    "PRIORITY of a wrong size": (id) => frame(2, 0, id, Buffer.alloc(4)),
    "a stream that depends on itself": (id) => frame(2, 0, id, Buffer.concat([u32(id), Buffer.of(0)])),
    "DATA after the end": (id) => Buffer.concat([frame(0, 1, id), frame(0, 0, id, Buffer.of(1))]),
    "trailers without an end": (id) => frame(1, 4, id, encodeBlock([["x", "y"]])),
    "trailers after the end": (id) =>
      Buffer.concat([frame(0, 1, id), frame(1, 5, id, encodeBlock([["x", "y"]]))]),
  };
  for (const [name, mistake] of Object.entries(mistakes)) {
    const world = new World({ frames: budget(100) });
    for (let at = 0; at < 200 && !world.closed; at++) {
      world.feed(headers(2 * at + 1), mistake(2 * at + 1));
      // That it was being served earns nothing: the mistake is the client's.
      world.streams.at(-1)?.respond(ok);
    }
    assert.equal(world.goneWith(), calm, name);
    assert.ok(world.streams.length <= 51, `${name}: ${world.streams.length} streams`);
  }
});

test("a malformed request and a header list that is too large are counted, by their size", () => {
  const world = new World({ frames: budget(100) });
  world.feed(frame(1, 5, 1, Buffer.alloc(16_384, 0x82)));
  assert.equal(world.closed, false);
  const more = taken(world, (at) => frame(1, 5, 3 + 2 * at, Buffer.alloc(16_384, 0x82)), 100);
  assert.ok(more <= 4, `${more} of 16 KiB`);
  assert.equal(world.goneWith(), calm);
});

test("window in crumbs is counted by what it makes the server send", () => {
  const world = blocked(1, 0x7fff_ffff, { frames: budget(100) });
  assert.ok(taken(world, () => update(0, 1), 1000) <= 60);
  assert.equal(world.goneWith(), calm);
});

test("a thousand blocked streams make no frame dearer", () => {
  // Each wait for the connection's window; one byte of it goes to one stream.
  const many = blocked(1000, 0x7fff_ffff, unmetered);
  const ms = cpuMs(() => many.feed(...Array.from({ length: 20_000 }, () => update(0, 1))));
  assert.equal(many.sent().filter(({ type }) => type === 0).length, 20_000);
  assert.ok(ms < 1000, `${ms} ms for 20,000 updates`);
});

test("SETTINGS with 2,730 window sizes costs its entries, not its entries times the streams", () => {
  const world = blocked(1000, 65_535, unmetered);
  const pairs = Array.from({ length: 2730 }, (_, at): [number, number] => [4, at % 2]);
  const frames = Array.from({ length: 100 }, () => settings(...pairs));
  const ms = cpuMs(() => world.feed(...frames));
  assert.equal(world.closed, false);
  assert.ok(ms < 1000, `${ms} ms for 273,000 entries`);
  const metered = blocked(1000, 65_535);
  assert.ok(taken(metered, () => settings(...pairs), 100) < 20);
  assert.equal(metered.goneWith(), calm);
});

test("SETTINGS that raises the initial window is acknowledged and wakes the streams that waited for theirs", () => {
  const world = blocked(3, 0);
  world.feed(settings([4, 1000]));
  assert.deepEqual(
    world.sent().map(({ stream, payload }) => [stream, payload.length]),
    [
      [0, 0],
      [1, 1000],
      [3, 1000],
      [5, 1000],
    ],
  );
  // What was sent stays spent: a smaller window is negative, and wakes no stream until it is above 0 again.
  world.feed(settings([4, 100]), settings([4, 900]));
  assert.equal(world.sent().filter(({ type }) => type === 0).length, 0);
  world.feed(settings([4, 1001]));
  assert.equal(world.sent().filter(({ type }) => type === 0).length, 3);
});

test("SETTINGS that makes a stream's window larger than the largest ends the connection", () => {
  const world = blocked(2, 0);
  world.feed(update(1, 0x7fff_ff00));
  world.sent();
  world.feed(settings([4, 200]));
  assert.equal(world.closed, false);
  world.feed(settings([4, 0x7fff_ffff]));
  assert.equal(world.goneWith(), 3);
  // One whose streams have ended may have any window.
  const other = blocked(2, 0);
  other.feed(update(1, 0x7fff_ff00), cancel(1));
  other.feed(settings([4, 0x7fff_ffff]));
  assert.equal(other.closed, false);
});

test("frames on streams that only a server could open end the connection", () => {
  for (const bad of [update(2, 1), cancel(2), frame(0, 0, 2, Buffer.of(1))]) {
    const world = new World();
    world.feed(headers(5, true), bad);
    assert.equal(world.goneWith(), 1);
  }
});

test("a turn begins no more than so many requests; the rest of the chunk waits for the next", () => {
  const world = new World({ requestsPerTurn: 10 });
  const chunk = Buffer.concat(Array.from({ length: 25 }, (_, at) => headers(2 * at + 1, true)));
  const seen: number[] = [];
  for (let all = world.connection.feed(chunk); ; all = world.connection.proceed()) {
    seen.push(world.streams.length);
    if (all) break;
  }
  assert.deepEqual(seen, [10, 20, 25]);
  // A cancellation is work, too, and what comes meanwhile is not lost, wherever it is cut.
  const cancels = Buffer.concat(Array.from({ length: 25 }, (_, at) => cancel(2 * at + 1)));
  assert.equal(world.connection.feed(cancels.subarray(0, 200)), false);
  assert.equal(world.connection.streams, 15);
  assert.equal(world.connection.feed(cancels.subarray(200)), false);
  assert.equal(world.connection.proceed(), true);
  assert.equal(world.connection.streams, 0);
});

/** How many streams there were after each turn of reading so many requests in one chunk. */
function turnsOf(world: World, requests: number): number[] {
  const chunk = Buffer.concat(Array.from({ length: requests }, (_, at) => headers(2 * at + 1)));
  const seen: number[] = [];
  for (let all = world.connection.feed(chunk); ; all = world.connection.proceed()) {
    seen.push(world.streams.length);
    if (all) return seen;
  }
}

test("a turn begins eight times as many light requests, and however long they took", () => {
  const world = new World({ requestsPerTurn: 10, turnMs: 5 });
  world.serve = (stream) => {
    stream.isLight = true;
    world.nowMs += 1;
  };
  assert.deepEqual(turnsOf(world, 200), [80, 160, 200]);
});

test("a light request that is answered in the turn that began it is light no more", () => {
  const world = new World({ requestsPerTurn: 10 });
  world.serve = (stream) => {
    stream.isLight = true;
    stream.respond(ok);
    stream.end();
  };
  assert.deepEqual(turnsOf(world, 20), [9, 18, 20]);
  const slow = new World({ requestsPerTurn: 100, turnMs: 5 });
  slow.serve = (stream) => {
    stream.isLight = true;
    stream.reset(0);
    slow.nowMs += 3;
  };
  assert.deepEqual(turnsOf(slow, 5), [2, 4, 5]);
});

test("a client may cancel a thousand streams at once, again and again, when they were being served", () => {
  for (const serve of [
    (world: World, stream: H2Stream) => {
      stream.respond(ok);
      world.nowMs += 0;
    },
    // A long poll has said nothing yet, but it has been waited for.
    (world: World) => {
      world.nowMs += 1;
    },
  ]) {
    const world = new World();
    let id = 1;
    for (let round = 0; round < 10; round++) {
      const first = id;
      for (let at = 0; at < 1000; at++, id += 2) {
        world.feed(headers(id, true));
        serve(world, world.streams.at(-1) as H2Stream);
      }
      world.nowMs += world.nowMs > 0 ? 100 : 0;
      for (let at = first; at < id; at += 2) world.feed(cancel(at));
      world.sent();
    }
    assert.equal(world.closed, false);
  }
});

test("a reset in the packet of its request is charged, however quickly the answer began", () => {
  const world = new World({ frames: budget(100) });
  world.serve = (stream) => stream.respond(ok);
  for (let id = 1; id < 4001 && !world.closed; id += 2) world.feed(Buffer.concat([headers(id), cancel(id)]));
  assert.equal(world.goneWith(), calm);
  assert.ok(world.streams.length <= 51, `${world.streams.length} streams`);
});

test("all streams of a connection may be opened and canceled at once, served or not", () => {
  const world = new World();
  for (let at = 0; at < 1024; at++) world.feed(headers(2 * at + 1, true));
  for (let at = 0; at < 1024; at++) world.feed(cancel(2 * at + 1));
  assert.equal(world.closed, false);
});

test("cancellations that cross the ends of their streams are forgiven", () => {
  const world = new World({ frames: budget(10) });
  for (let at = 0; at < 1000; at++) {
    world.feed(headers(2 * at + 1, true));
    world.streams.at(-1)?.respond(ok);
    world.streams.at(-1)?.end();
  }
  for (let at = 950; at < 1000; at++) world.feed(cancel(2 * at + 1));
  assert.equal(world.closed, false);
});

test("a fast reader may update both windows and ping for each DATA frame, also long after", () => {
  const world = new World({ frames: budget(50) });
  world.feed(settings([4, 0x7fff_ffff]), update(0, 0x7fff_0000 - 65_535), headers(1, true));
  const [stream] = world.streams as [H2Stream];
  stream.respond(ok);
  for (let at = 0; at < 100; at++) stream.write(Buffer.alloc(16_384));
  for (let at = 0; at < 100; at++) world.feed(update(0, 16_384), update(1, 16_384), ping);
  assert.equal(world.closed, false);
});

test("tiny records on a large window earn what their window updates cost", () => {
  const world = new World({ frames: budget(50) });
  world.feed(headers(1, true));
  const [stream] = world.streams as [H2Stream];
  stream.respond(ok);
  for (let at = 0; at < 1000; at++) {
    stream.write(Buffer.alloc(20));
    world.feed(update(0, 20), update(1, 20));
  }
  assert.equal(world.closed, false);
});

test("a frame that comes byte by byte costs its bytes", () => {
  const world = new World(unmetered);
  const block = Buffer.concat([frame(0x77, 0, 0, Buffer.alloc(16_384))]);
  const ms = cpuMs(() => {
    for (let round = 0; round < 10; round++) {
      for (let at = 0; at < block.length; at++) world.connection.feed(block.subarray(at, at + 1));
    }
  });
  assert.ok(ms < 2000, `${ms} ms for 160 KB`);
});
