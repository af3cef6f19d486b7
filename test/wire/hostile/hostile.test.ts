/** Hostile input on real sockets, on the fast path and on Connect: nothing is written and nothing is left behind. */
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect as connectH2,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect, type Socket } from "node:net";
import { suite, test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { createFastPath } from "../../../src/api/mod.ts";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { curl } from "../../support/http/curl.ts";
import { type Served, type ServeOptions, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";
import { dropTails, resetTails } from "./dropped-tails.ts";

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly reset: number;
}

/** One HTTP/2 request with exactly this body; a reset is a result too. */
async function ask(
  session: ClientHttp2Session,
  path: string,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<Answer> {
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  let answer: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (got) => (answer = got));
  stream.on("trailers", (got) => (trailers = got));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  return { headers: answer, trailers, body: Buffer.concat(chunks), reset: stream.rstCode ?? 0 };
}

const frame = (message: Uint8Array, flags = 0, length = message.length): Buffer => {
  const bytes = Buffer.from(encodeEnvelope(message, flags));
  bytes.writeUInt32BE(length, 1);
  return bytes;
};
const grpc = { "content-type": "application/grpc", te: "trailers" };
const record = (value: Uint8Array): Buffer => {
  const inner = Buffer.concat([Buffer.from([0x0a]), varint(value.length), value]);
  return Buffer.concat([Buffer.from([0x0a]), varint(inner.length), inner]);
};
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** The server answers an honest client, and its log has `next` records. */
async function isWell(served: Served, next: number): Promise<void> {
  assert.equal(served.log.next, next);
  const answer = await curl(served.url, { method: "POST", body: '{"record":{}}' });
  assert.equal(answer.text, `{"offset":${next}}\n`);
  await until("no call is left", () => served.service.calls.openCalls === 0 && served.log.openTails === 0);
}

const variants: Readonly<Record<string, ServeOptions>> = {
  reference: {},
  "fast path": { fastPath: createFastPath },
};
for (const [variant, options] of Object.entries(variants)) {
  suite(`hostile input, ${variant}`, () => {
    const open = async (more: ServeOptions = {}) => {
      const served = await serve({ ...options, ...more });
      const session = connectH2(served.url);
      session.on("error", () => undefined);
      return {
        served,
        session,
        async [Symbol.asyncDispose]() {
          session.destroy();
          await served[Symbol.asyncDispose]();
        },
      };
    };

    test("malformed messages are refused with a gRPC status", async () => {
      await using world = await open({ requestBytesMax: 100_000 });
      const good = record(Buffer.from("x"));
      const bodies: Readonly<Record<string, Uint8Array>> = {
        nothing: new Uint8Array(0),
        "half a prefix": Uint8Array.of(0, 0, 0),
        "a length that lies upwards": frame(good, 0, good.length + 10),
        "a length of 4 GiB": frame(good, 0, 0xffff_ffff),
        "a length over the limit": frame(Buffer.alloc(100_001)),
        "compressed without saying how": frame(gzipSync(good), 1),
        "no protobuf": frame(Uint8Array.of(0xff, 0xff, 0xff)),
        "a group": frame(Uint8Array.of(0x0b, 0x0c)),
        "a field that passes the end": frame(Uint8Array.of(0x0a, 0x7f, 0x0a)),
        "a varint without end": frame(new Uint8Array(32).fill(0x80)),
        "a header name that is no UTF-8": frame(Uint8Array.of(0x0a, 6, 0x32, 4, 0x0a, 2, 0xc3, 0x28)),
        "field number zero": frame(Uint8Array.of(0x02, 0x00)),
        "two messages": Buffer.concat([frame(good), frame(good)]),
        "an expected offset of 2^64-1": frame(
          Buffer.concat([good, Buffer.from([0x18]), Buffer.alloc(9, 0xff), Buffer.from([1])]),
        ),
      };
      for (const [name, body] of Object.entries(bodies)) {
        const { trailers, headers } = await ask(world.session, "/log.v1.Log/Produce", grpc, body);
        const status = Number(trailers["grpc-status"] ?? headers["grpc-status"]);
        const expected = name === "compressed without saying how" ? [13] : [3, 8, 12];
        assert.ok(expected.includes(status), `${name}: ${status}`);
      }
      await isWell(world.served, 0);
    });

    test("unfinished messages on many streams stay within the memory budget", async () => {
      await using opened = await open({ memoryBytesMax: 2_000_000 });
      const { served, session } = opened;
      const begun = frame(Buffer.alloc(400_000), 0, 400_001);
      const refused: string[] = [];
      const streams = ["Produce", "ProduceStream", "ProduceBulk", "ProduceBatch"].flatMap((method) =>
        [1, 2, 3].map(() => {
          const stream = session.request({ ":method": "POST", ":path": `/log.v1.Log/${method}`, ...grpc });
          stream.on("trailers", (got) => refused.push(String(got["grpc-status"])));
          stream.on("error", () => undefined);
          stream.resume();
          stream.write(begun);
          return stream;
        }),
      );
      await until("four streams are refused", () => refused.length >= 4);
      assert.deepEqual([...new Set(refused)], ["8"]);
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
      const whole = frame(record(Buffer.alloc(400_000)));
      await until("the memory is released", async () => {
        const { trailers } = await ask(session, "/log.v1.Log/Produce", grpc, whole);
        return trailers["grpc-status"] === "0";
      });
      await isWell(served, 1);
    });

    test("a compression bomb is not decompressed beyond the limit", async () => {
      await using world = await open({ requestBytesMax: 100_000 });
      const bomb = record(Buffer.alloc(10_000_000));
      for (const [encoding, packed] of [
        ["gzip", gzipSync(bomb)],
        ["br", brotliCompressSync(bomb)],
      ] as const) {
        assert.ok(packed.length < 60_000);
        const headers = { ...grpc, "grpc-encoding": encoding };
        const { trailers } = await ask(world.session, "/log.v1.Log/Produce", headers, frame(packed, 1));
        assert.equal(trailers["grpc-status"], "8", encoding);
        const unary = { "content-type": "application/proto", "content-encoding": encoding };
        assert.equal(
          (await ask(world.session, "/log.v1.Log/Produce", unary, packed)).headers[":status"],
          429,
        );
      }
      const wrong = await ask(
        world.session,
        "/log.v1.Log/Produce",
        { ...grpc, "grpc-encoding": "lzma" },
        frame(bomb.subarray(0, 9), 1),
      );
      assert.equal(wrong.trailers["grpc-status"], "12");
      await isWell(world.served, 0);
    });

    test("a stream that breaks in the middle keeps what was acknowledged and nothing else", async () => {
      await using world = await open();
      const good = frame(record(Buffer.from("x")));
      const body = Buffer.concat([good, good, frame(Uint8Array.of(0xff)), good]);
      const { trailers, body: acks } = await ask(world.session, "/log.v1.Log/ProduceStream", grpc, body);
      assert.equal(trailers["grpc-status"], "3");
      assert.ok(acks.length > 0);
      await isWell(world.served, 2);
    });

    // test/long has several times as many of both.
    test("streams that are reset as soon as they are opened leave nothing behind", () =>
      resetTails(10, options));

    test("two thousand tails that are opened and dropped leave nothing behind", () => dropTails(4, options));
  });
}

test("a client that keeps sending still gets the whole refusal", {
  timeout: 300_000,
}, async () => {
  await using served = await serve({ requestBytesMax: 10_000 });
  const much = "y".repeat(5_000_000);
  const length = `content-length: ${much.length}`;
  for (const [bytes, status] of [
    [`GET / HTTP/1.1\r\nx: ${much}\r\n\r\n`, 431],
    [`POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n${much}`, 400],
    [`POST / HTTP/1.1\r\nhost: localhost\r\n${length}\r\n\r\n${much}`, 413],
    [
      `POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${much.length.toString(16)}\r\n${much}\r\n0\r\n\r\n`,
      413,
    ],
  ] as const) {
    const socket = connect(served.port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.write(bytes);
    // A TCP reset, which can lose a response, would be an error here.
    await once(socket, "close");
    assert.ok(text.startsWith(`HTTP/1.1 ${status} `), text);
    assert.match(text, /"written":"no"/);
  }
  await isWell(served, 0);
});

test("header floods and wrong content lengths are refused over HTTP/1.1", async () => {
  await using served = await serve({
    requestBytesMax: 10_000,
    http: { headersMs: 1000, requestMs: 1000, idleMs: 500 },
  });
  const raw = async (bytes: string): Promise<string> => {
    const socket: Socket = connect(served.port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.write(bytes);
    await new Promise((resolve) => socket.once("close", resolve));
    return text;
  };
  const head = "POST / HTTP/1.1\r\nhost: localhost\r\n";
  assert.match(await raw(`GET / HTTP/1.1\r\n${"x: y\r\n".repeat(5000)}\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await raw(`GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await raw(`${head}content-length: 99999999999\r\n\r\n{`), /^HTTP\/1\.1 413 /);
  assert.match(await raw(`${head}content-length: -1\r\n\r\n{}`), /^HTTP\/1\.1 400 /);
  assert.match(await raw(`${head}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`), /^HTTP\/1\.1 400 /);
  assert.match(
    await raw(`${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}`),
    /^HTTP\/1\.1 400 /,
  );
  assert.match(await raw(`${head}transfer-encoding: chunked\r\n\r\nZZ\r\n`), /^HTTP\/1\.1 400 /);
  assert.match(await raw(`${head}content-length: 50\r\n\r\n{"record":{}}`), /^(HTTP\/1\.1 408 |$)/);
  assert.match(await raw("GET / HTTP/9.9\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.match(await raw(`GET /\0 HTTP/1.1\r\nhost: localhost\r\n\r\n`), /^HTTP\/1\.1 400 /);
  await isWell(served, 0);
});

test("header floods over HTTP/2 end the stream or the connection only", async () => {
  await using served = await serve({ fastPath: createFastPath });
  const session = connectH2(served.url, { maxHeaderListPairs: 100_000 } as object);
  session.on("error", () => undefined);
  const flood = Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`x-${at}`, "y".repeat(50)]));
  const { headers } = await ask(
    session,
    "/log.v1.Log/Produce",
    { ...grpc, ...flood },
    frame(new Uint8Array(0)),
  );
  assert.notEqual(headers[":status"], 200);
  session.destroy();
  await isWell(served, 0);
});

test("two thousand idle connections do not affect other clients", { timeout: 300_000 }, async () => {
  await using served = await serve({ connectionsMax: 4000, detectionMs: 30_000 });
  const sockets: Socket[] = [];
  for (let at = 0; at < 20; at++) {
    const batch = Array.from({ length: 100 }, () => connect(served.port, "127.0.0.1"));
    for (const socket of batch) socket.on("error", () => undefined);
    await Promise.all(batch.map((socket) => once(socket, "connect")));
    sockets.push(...batch);
  }
  await isWell(served, 0);
  for (const socket of sockets) socket.destroy();
  await until("all connections are closed", () => served.listener.connections === 0);
});

test("a reader that never reads blocks its own stream only, and its memory stays bounded", {
  timeout: 300_000,
}, async () => {
  await using served = await serve({ fastPath: createFastPath });
  for (let at = 0; at < 200; at++) {
    await served.log.append({ bytes: record(Buffer.alloc(500_000)), count: 1 });
  }
  const session = connectH2(served.url);
  session.on("error", () => undefined);
  const stream = session.request({ ":method": "POST", ":path": "/log.v1.Log/ConsumeStream", ...grpc });
  stream.on("error", () => undefined);
  stream.end(frame(new Uint8Array(0)));
  stream.pause();
  await until("the stream's window is used up", () => served.memory.bytesOf("out") > 0);
  assert.ok(served.memory.bytesOf("out") < 20_000_000, `${served.memory.bytesOf("out")} bytes`);
  const other = connectH2(served.url);
  const answer = await ask(other, "/log.v1.Log/Consume", grpc, frame(new Uint8Array(0)));
  assert.equal(answer.trailers["grpc-status"], "0");
  other.destroy();
  session.destroy();
  await isWell(served, 200);
});
