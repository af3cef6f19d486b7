/** Frames that are meant to cost the server work (RFC 9113 §10.5), and honest clients that send similar ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { H2Stream } from "../../../src/http2/h2-stream.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { budget, frame, H2Harness, headers, settings, u32 } from "../../support/http/h2-harness.ts";

const calm = 11;
const ok = encodeBlock([[":status", "200"]]);
const ping = frame(6, 0, 0, Buffer.alloc(8));
const update = (stream: number, bytes: number): Buffer => frame(8, 0, stream, u32(bytes));
const cancel = (stream: number): Buffer => frame(3, 0, stream, u32(8));
const unmetered = { frames: budget(1e9) };

const much = Buffer.alloc(1_000_000);

/** A connection whose streams have more to send than their windows allow. */
function blocked(streams: number, initialWindow: number, limits = {}): H2Harness {
  const harness = new H2Harness(limits);
  harness.feed(settings([4, initialWindow]));
  for (let at = 0; at < streams; at++) harness.feed(headers(2 * at + 1, true));
  for (const stream of harness.streams) {
    stream.respond(ok);
    stream.write(much);
  }
  harness.sent();
  return harness;
}

/** How many frames the connection took until it ended. */
function taken(harness: H2Harness, next: (at: number) => Buffer, most: number): number {
  let count = 0;
  while (count < most && !harness.closed) harness.feed(next(count++));
  return count;
}

test("every frame that does not advance a request is charged, in every state of its stream", () => {
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
    const harness = new H2Harness({ frames: budget(100) });
    harness.feed(headers(1), headers(3, true));
    harness.streams[1]?.reset(8);
    harness.sent();
    taken(harness, flood, 200);
    assert.equal(harness.goAwayCode(), calm, name);
  }
});

test("every CONTINUATION frame of a header block is charged", () => {
  const harness = new H2Harness({ frames: budget(100) });
  harness.feed(frame(1, 1, 1));
  assert.ok(taken(harness, () => frame(9, 0, 1, Buffer.of(0x82)), 1000) < 110);
  assert.equal(harness.goAwayCode(), calm);
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
    const harness = new H2Harness({ frames: budget(100) });
    for (let at = 0; at < 200 && !harness.closed; at++) {
      harness.feed(headers(2 * at + 1), mistake(2 * at + 1));
      // A stream that was being served earns nothing here, because the mistake is the client's.
      harness.streams.at(-1)?.respond(ok);
    }
    assert.equal(harness.goAwayCode(), calm, name);
    assert.ok(harness.streams.length <= 51, `${name}: ${harness.streams.length} streams`);
  }
});

test("a malformed request and a header list that is too large are charged by their size", () => {
  const harness = new H2Harness({ frames: budget(100) });
  harness.feed(frame(1, 5, 1, Buffer.alloc(16_384, 0x82)));
  assert.equal(harness.closed, false);
  const more = taken(harness, (at) => frame(1, 5, 3 + 2 * at, Buffer.alloc(16_384, 0x82)), 100);
  assert.ok(more <= 4, `${more} of 16 KiB`);
  assert.equal(harness.goAwayCode(), calm);
});

test("window granted in very small steps is charged by the frames that it makes the server send", () => {
  const harness = blocked(1, 0x7fff_ffff, { frames: budget(100) });
  assert.ok(taken(harness, () => update(0, 1), 1000) <= 60);
  assert.equal(harness.goAwayCode(), calm);
});

test("a WINDOW_UPDATE of the connection costs the same with a thousand blocked streams", (t) => {
  // Every stream waits for the connection's window. One byte of it goes to one stream.
  const many = blocked(1000, 0x7fff_ffff, unmetered);
  const flush = t.mock.method(H2Stream.prototype, "flush");
  many.feed(...Array.from({ length: 20_000 }, () => update(0, 1)));
  assert.equal(many.sent().filter(({ type }) => type === 0).length, 20_000);
  assert.equal(flush.mock.callCount(), 20_000);
});

test("SETTINGS with 2,730 window sizes costs its entries, not its entries times the streams", (t) => {
  const harness = blocked(1000, 65_535, unmetered);
  const pairs = Array.from({ length: 2730 }, (_, at): [number, number] => [4, at % 2]);
  const frames = Array.from({ length: 100 }, () => settings(...pairs));
  const sendWindow = t.mock.getter(H2Stream.prototype, "sendWindow");
  harness.feed(...frames);
  assert.equal(harness.closed, false);
  assert.ok(sendWindow.mock.callCount() <= 2 * 100 * 1000, `${sendWindow.mock.callCount()} looks at streams`);
  const metered = blocked(1000, 65_535);
  assert.ok(taken(metered, () => settings(...pairs), 100) < 20);
  assert.equal(metered.goAwayCode(), calm);
});

test("SETTINGS that raises the initial window is acknowledged, then the starved streams send", () => {
  const harness = blocked(3, 0);
  harness.feed(settings([4, 1000]));
  assert.deepEqual(
    harness.sent().map(({ stream, payload }) => [stream, payload.length]),
    [
      [0, 0],
      [1, 1000],
      [3, 1000],
      [5, 1000],
    ],
  );
  // Sent bytes still count: a smaller initial window makes the stream windows negative, and no stream sends until they are above 0.
  harness.feed(settings([4, 100]), settings([4, 900]));
  assert.equal(harness.sent().filter(({ type }) => type === 0).length, 0);
  harness.feed(settings([4, 1001]));
  assert.equal(harness.sent().filter(({ type }) => type === 0).length, 3);
});

test("SETTINGS that makes a stream's window larger than the largest ends the connection", () => {
  const harness = blocked(2, 0);
  harness.feed(update(1, 0x7fff_ff00));
  harness.sent();
  harness.feed(settings([4, 200]));
  assert.equal(harness.closed, false);
  harness.feed(settings([4, 0x7fff_ffff]));
  assert.equal(harness.goAwayCode(), 3);
  // Closed streams do not count.
  const other = blocked(2, 0);
  other.feed(update(1, 0x7fff_ff00), cancel(1));
  other.feed(settings([4, 0x7fff_ffff]));
  assert.equal(other.closed, false);
});

test("frames on streams that only a server could open end the connection", () => {
  for (const bad of [update(2, 1), cancel(2), frame(0, 0, 2, Buffer.of(1))]) {
    const harness = new H2Harness();
    harness.feed(headers(5, true), bad);
    assert.equal(harness.goAwayCode(), 1);
  }
});

test("a turn begins at most requestsPerTurn requests; the rest of the chunk waits for the next turn", () => {
  const harness = new H2Harness({ requestsPerTurn: 10 });
  const chunk = Buffer.concat(Array.from({ length: 25 }, (_, at) => headers(2 * at + 1, true)));
  const seen: number[] = [];
  for (let all = harness.connection.feed(chunk); ; all = harness.connection.proceed()) {
    seen.push(harness.streams.length);
    if (all) break;
  }
  assert.deepEqual(seen, [10, 20, 25]);
  // A cancellation counts as work too. Input that arrives meanwhile is not lost, wherever it is split.
  const cancels = Buffer.concat(Array.from({ length: 25 }, (_, at) => cancel(2 * at + 1)));
  assert.equal(harness.connection.feed(cancels.subarray(0, 200)), false);
  assert.equal(harness.connection.streams, 15);
  assert.equal(harness.connection.feed(cancels.subarray(200)), false);
  assert.equal(harness.connection.proceed(), true);
  assert.equal(harness.connection.streams, 0);
});

/** How many streams there were after each turn of reading so many requests in one chunk. */
function turnsOf(harness: H2Harness, requests: number): number[] {
  const chunk = Buffer.concat(Array.from({ length: requests }, (_, at) => headers(2 * at + 1)));
  const seen: number[] = [];
  for (let all = harness.connection.feed(chunk); ; all = harness.connection.proceed()) {
    seen.push(harness.streams.length);
    if (all) return seen;
  }
}

test("a turn begins eight times as many light requests, no matter how long they take", () => {
  const harness = new H2Harness({ requestsPerTurn: 10, turnMs: 5 });
  harness.serve = (stream) => {
    stream.isLight = true;
    harness.nowMs += 1;
  };
  assert.deepEqual(turnsOf(harness, 200), [80, 160, 200]);
});

test("a light request that ends in the turn that began it counts as a full request", () => {
  const harness = new H2Harness({ requestsPerTurn: 10 });
  harness.serve = (stream) => {
    stream.isLight = true;
    stream.respond(ok);
    stream.end();
  };
  assert.deepEqual(turnsOf(harness, 20), [9, 18, 20]);
  const slow = new H2Harness({ requestsPerTurn: 100, turnMs: 5 });
  slow.serve = (stream) => {
    stream.isLight = true;
    stream.reset(0);
    slow.nowMs += 3;
  };
  assert.deepEqual(turnsOf(slow, 5), [2, 4, 5]);
});

test("a client may cancel a thousand streams at once, repeatedly, if they were being served", () => {
  for (const serve of [
    (harness: H2Harness, stream: H2Stream) => {
      stream.respond(ok);
      harness.nowMs += 0;
    },
    // A long poll has no response yet, but it is older than servedMs.
    (harness: H2Harness) => {
      harness.nowMs += 1;
    },
  ]) {
    const harness = new H2Harness();
    let id = 1;
    for (let round = 0; round < 10; round++) {
      const first = id;
      for (let at = 0; at < 1000; at++, id += 2) {
        harness.feed(headers(id, true));
        serve(harness, harness.streams.at(-1) as H2Stream);
      }
      harness.nowMs += harness.nowMs > 0 ? 100 : 0;
      for (let at = first; at < id; at += 2) harness.feed(cancel(at));
      harness.sent();
    }
    assert.equal(harness.closed, false);
  }
});

test("a reset in the packet of its request is charged, even if the response has begun", () => {
  const harness = new H2Harness({ frames: budget(100) });
  harness.serve = (stream) => stream.respond(ok);
  for (let id = 1; id < 4001 && !harness.closed; id += 2)
    harness.feed(Buffer.concat([headers(id), cancel(id)]));
  assert.equal(harness.goAwayCode(), calm);
  assert.ok(harness.streams.length <= 51, `${harness.streams.length} streams`);
});

test("all streams of a connection may be opened and canceled at once, served or not", () => {
  const harness = new H2Harness();
  for (let at = 0; at < 1024; at++) harness.feed(headers(2 * at + 1, true));
  for (let at = 0; at < 1024; at++) harness.feed(cancel(2 * at + 1));
  assert.equal(harness.closed, false);
});

test("a cancellation that crosses the end of its stream is not charged to the burst", () => {
  const harness = new H2Harness({ frames: budget(10) });
  for (let at = 0; at < 1000; at++) {
    harness.feed(headers(2 * at + 1, true));
    harness.streams.at(-1)?.respond(ok);
    harness.streams.at(-1)?.end();
  }
  for (let at = 950; at < 1000; at++) harness.feed(cancel(2 * at + 1));
  assert.equal(harness.closed, false);
});

test("a fast reader may update both windows and ping for each DATA frame, even much later", () => {
  const harness = new H2Harness({ frames: budget(50) });
  harness.feed(settings([4, 0x7fff_ffff]), update(0, 0x7fff_0000 - 65_535), headers(1, true));
  const [stream] = harness.streams as [H2Stream];
  stream.respond(ok);
  for (let at = 0; at < 100; at++) stream.write(Buffer.alloc(16_384));
  for (let at = 0; at < 100; at++) harness.feed(update(0, 16_384), update(1, 16_384), ping);
  assert.equal(harness.closed, false);
});

test("small DATA frames earn what their window updates cost", () => {
  const harness = new H2Harness({ frames: budget(50) });
  harness.feed(headers(1, true));
  const [stream] = harness.streams as [H2Stream];
  stream.respond(ok);
  for (let at = 0; at < 1000; at++) {
    stream.write(Buffer.alloc(20));
    harness.feed(update(0, 20), update(1, 20));
  }
  assert.equal(harness.closed, false);
});
