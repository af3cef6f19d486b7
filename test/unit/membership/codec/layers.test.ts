/**
 * The layers around messages: compound, checksum, compression, encryption, label; on datagrams and on streams.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { Keyring } from "../../../../src/membership/codec/keyring.ts";
import { lzwDecode } from "../../../../src/membership/codec/lzw.ts";
import {
  decodeMessage,
  encodePing,
  encodeUserMessage,
  protocolVersions,
} from "../../../../src/membership/codec/messages.ts";
import { MsgpackWriter } from "../../../../src/membership/codec/msgpack-writer.ts";
import {
  decodePacket,
  encodePacket,
  packetOverheadBytes,
  type WireOptions,
} from "../../../../src/membership/codec/packet.ts";
import { decodePushPull, encodePushPull } from "../../../../src/membership/codec/push-pull.ts";
import { encodeStreamMessage, StreamReader } from "../../../../src/membership/codec/stream.ts";
import { decodeSerfState, encodeSerfState } from "../../../../src/membership/serf/serf-state.ts";
import { encodeTags } from "../../../../src/membership/serf/tags.ts";
import { lzwEncode } from "../../../support/lzw-encode.ts";

const plain: WireOptions = { keyring: undefined, label: "" };
const key = (bytes: number): string => Buffer.alloc(bytes, bytes).toString("base64");
const ring = (...keys: string[]): Keyring => new Keyring(keys, randomBytes);
const me = { name: "me", host: "10.0.0.1", port: 7946 };
const wrappings: WireOptions[] = [
  plain,
  { keyring: undefined, label: "blue" },
  ...[16, 24, 32].map((bytes) => ({ keyring: ring(key(bytes)), label: "" })),
  { keyring: ring(key(32)), label: "green" },
];
const compress = (bytes: Uint8Array): Buffer =>
  new MsgpackWriter().byte(9).map(2).text("Algo").uint(0).text("Buf").raw(lzwEncode(bytes)).finish();

test("a datagram comes out as the messages that went in, whatever the wrapping", () => {
  const parts = [
    encodePing(1, "a", me),
    encodeUserMessage(Buffer.from("hello")),
    encodeUserMessage(Buffer.alloc(300, 7)),
  ];
  for (const wrapping of wrappings) {
    for (const count of [1, 2, 3]) {
      for (const crc of [false, true]) {
        const sealed = encodePacket(parts.slice(0, count), wrapping, crc);
        assert.deepEqual(decodePacket(sealed, wrapping), parts.slice(0, count));
        const size = parts.slice(0, count).reduce((sum, part) => sum + part.length, 0);
        assert.ok(sealed.length <= size + packetOverheadBytes(wrapping) + 2 + 2 * count);
      }
    }
  }
});

test("a flipped bit is found by the checksum, or by the seal", () => {
  const message = encodeUserMessage(Buffer.from("the quick brown fox"));
  for (const wrapping of [plain, { keyring: ring(key(32)), label: "" }]) {
    const sealed = encodePacket([message], wrapping, true);
    for (let at = 1; at < sealed.length; at++) {
      const damaged = Buffer.from(sealed);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      assert.throws(() => decodePacket(damaged, wrapping), { name: "Fault" }, `byte ${at}`);
    }
  }
});

test("with a key, plaintext and other keys are refused; a ring opens what any of its keys sealed", () => {
  const message = encodeUserMessage(Buffer.from("x"));
  const [old, fresh] = [key(16), key(32)];
  const both: WireOptions = { keyring: ring(fresh, old), label: "" };
  const refused = { kind: "permission-denied" };
  assert.throws(() => decodePacket(encodePacket([message], plain, true), both), refused);
  const sealedOld = encodePacket([message], { keyring: ring(old), label: "" }, true);
  assert.deepEqual(decodePacket(sealedOld, both), [message]);
  assert.throws(() => decodePacket(sealedOld, { keyring: ring(fresh), label: "" }), refused);
  // A sealed datagram has no type byte: without a key it looks like an indirect ping, and fails as one.
  assert.throws(() => decodePacket(encodePacket([message], both, true), plain).map(decodeMessage), {
    name: "Fault",
  });
});

test("another cluster's label is refused, on datagrams and on streams", () => {
  const blue: WireOptions = { keyring: ring(key(32)), label: "blue" };
  const message = encodePing(1, "a", me);
  for (const label of ["", "green", "blu", "blues"]) {
    const other = { ...blue, label };
    assert.throws(
      () => decodePacket(encodePacket([message], other, false), blue),
      { kind: "permission-denied" },
      label,
    );
    assert.throws(() => new StreamReader(blue, 10_000).push(encodeStreamMessage(message, other)), {
      kind: "permission-denied",
    });
  }
});

test("keys of other lengths, and text that is no base64, are refused as configuration", () => {
  for (const bad of [key(15), key(33), "not a key!", ""]) {
    assert.throws(() => ring(bad), { kind: "config" }, bad);
  }
});

test("LZW gives back what Go's encoder would have made of any bytes", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 2_000 }),
    fc.uint8Array({ maxLength: 9_000, max: 2 }),
    fc
      .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 60_000 }))
      .map(([byte, count]) => Buffer.alloc(count, byte)),
  );
  fc.assert(
    fc.property(bytes, (input) => Buffer.from(input).equals(lzwDecode(lzwEncode(input), 65_536))),
    { numRuns: 150, seed: 7 },
  );
  // Long enough to fill the table of 4,096 entries several times.
  const long = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * at) >>> (at % 11)));
  assert.ok(lzwDecode(lzwEncode(long), 200_000).equals(long));
});

test("an LZW bomb stops at the limit, and any bytes at all end in a result or a Fault", () => {
  const bomb = lzwEncode(Buffer.alloc(1_000_000));
  assert.ok(bomb.length < 3_000);
  assert.throws(() => lzwDecode(bomb, 65_536), { kind: "bad-request" });
  assert.throws(() => decodePacket(compress(Buffer.alloc(1_000_000)), plain), { kind: "bad-request" });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
      try {
        return lzwDecode(input, 4_096).length <= 4_096;
      } catch (reason) {
        return (reason as Error).name === "Fault";
      }
    }),
    { numRuns: 2_000, seed: 11 },
  );
});

test("a few bytes do not buy much work: bombs of values, of parts, and of streams stop early", () => {
  // A byte can stand for a value, and a value costs a hundred bytes and a microsecond.
  const values = (count: number): Buffer => {
    const bomb = Buffer.alloc(count + 9, 0xa0);
    bomb.set([6, 0x81, 0xa1, 0x78, 0xdd]);
    bomb.writeUInt32BE(count, 5);
    return bomb;
  };
  assert.throws(() => decodePushPull(values(1_000_000), 8_192), /too many values/);
  assert.throws(() => decodeMessage(Buffer.concat([Buffer.from([0]), values(60_000).subarray(1)])), {
    message: /too many values/,
  });
  // Every part of a compound may be compressed: together they unpack to no more than one datagram holds.
  const part = compress(values(60_000));
  const parts = Array.from({ length: 100 }, () => part);
  assert.ok(part.length < 600);
  assert.throws(() => decodePacket(encodePacket(parts, plain, false), plain), /more than the limit/);
  // On a stream the limit is higher, but what a member's state cannot shrink to is no state.
  const reader = new StreamReader(plain, 8 * 1024 * 1024);
  assert.throws(() => reader.push(compress(Buffer.alloc(8_000_000, 0xa0))), /more than the limit/);
  const walked = new StreamReader(plain, 8 * 1024 * 1024);
  assert.throws(() => walked.push(values(1_000_000)), /too many values/);
});

test("a whole cluster's state, compressed, is not taken for a bomb", () => {
  const nodes = Array.from({ length: 4_096 }, (_, at) => ({
    name: `node-${at}.example.org`,
    at: { host: `10.0.${at >> 8}.${at & 255}`, port: 7946 },
    meta: encodeTags({ role: "tailrace", cluster: "e37a22c1-f085-4637-a844-3bbebaf07102", version: "0.1.0" }),
    incarnation: 1,
    state: "alive" as const,
    versions: protocolVersions,
  }));
  const statusLTimes = new Map(nodes.map(({ name }) => [name, 1] as const));
  const userState = encodeSerfState({
    ...{ lTime: 9, statusLTimes, left: nodes.map(({ name }) => name), eventLTime: 9, queryLTime: 9 },
    events: Array.from({ length: 512 }, (_, at) => ({
      lTime: at,
      events: Array.from({ length: 8 }, () => ({ name: "deploy", payload: Buffer.alloc(64) })),
    })),
  });
  const state = encodePushPull({ join: false, nodes, userState });
  for (const sent of [state, compress(state)]) {
    const found = new StreamReader(plain, 8 * 1024 * 1024).push(sent);
    assert.ok(found !== undefined);
    assert.ok(found.equals(state));
    assert.equal(decodeSerfState(decodePushPull(found, 8_192).userState).statusLTimes.size, 4_096);
  }
});

test("compression is undone under a checksum and inside compounds, but not without end", () => {
  const message = encodeUserMessage(Buffer.from("aaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
  assert.deepEqual(decodePacket(compress(message), plain), [message]);
  assert.deepEqual(decodePacket(encodePacket([compress(message), message], plain, true), plain), [
    message,
    message,
  ]);
  let nested: Buffer = message;
  for (let depth = 0; depth < 6; depth++) nested = compress(nested);
  assert.throws(() => decodePacket(nested, plain), { kind: "bad-request" });
  let boxes: Buffer = message;
  for (let depth = 0; depth < 6; depth++) boxes = encodePacket([boxes, boxes], plain, false);
  assert.throws(() => decodePacket(boxes, plain), { kind: "bad-request" });
});

test("a stream's message is found whole, however the bytes are cut, and not before its last byte", () => {
  const node = {
    name: "a",
    at: { host: "10.0.0.1", port: 1 },
    meta: Buffer.from([255, 128]),
    incarnation: 1,
    state: "alive" as const,
    versions: Buffer.from([1, 5, 2, 2, 5, 5]),
  };
  const state = encodePushPull({ join: true, nodes: [node, node, node], userState: Buffer.alloc(777, 3) });
  const user = Buffer.concat([
    new MsgpackWriter().byte(8).map(1).text("UserMsgLen").uint(5).finish(),
    Buffer.from("hello"),
  ]);
  for (const wrapping of wrappings) {
    for (const message of [state, encodePing(5, "a", me), user, compress(state)]) {
      const sealed = encodeStreamMessage(message, wrapping);
      for (const size of [1, 7, 1_000_000]) {
        const reader = new StreamReader(wrapping, 100_000);
        let got: Buffer | undefined;
        for (let at = 0; at < sealed.length; at += size) {
          assert.equal(got, undefined);
          got = reader.push(sealed.subarray(at, at + size));
        }
        assert.deepEqual(got, message[0] === 9 ? state : message);
      }
    }
  }
});

test("a stream that promises too much is refused at once", () => {
  const header = (nodes: number, user: number): Buffer =>
    new MsgpackWriter()
      .byte(6)
      .map(3)
      .text("Join")
      .bool(true)
      .text("Nodes")
      .uint(nodes)
      .text("UserStateLen")
      .uint(user)
      .finish();
  for (const bytes of [
    header(0, 2 ** 40),
    header(2 ** 31, 0),
    Buffer.from("06dfffffffff", "hex"),
    Buffer.from("00dbffffffff", "hex"),
  ]) {
    assert.throws(() => new StreamReader(plain, 100_000).push(bytes), { name: "Fault" });
  }
  const sealed: WireOptions = { keyring: ring(key(32)), label: "" };
  assert.throws(() => new StreamReader(sealed, 100_000).push(Buffer.from("0affffffff", "hex")), {
    kind: "too-large",
  });
  const reader = new StreamReader(plain, 1_000);
  assert.throws(
    () => {
      for (let at = 0; at < 2_000; at++) reader.push(Buffer.from([at === 0 ? 6 : 0x91]));
    },
    { name: "Fault" },
  );
});
