/** Layers of a datagram: compound, checksum, compression, encryption and label. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Keyring } from "../../../../src/membership/codec/keyring.ts";
import { decodeMessage, encodePing, encodeUserMessage } from "../../../../src/membership/codec/messages.ts";
import { MsgpackWriter } from "../../../../src/membership/codec/msgpack-writer.ts";
import {
  decodePacket,
  encodePacket,
  packetOverheadBytes,
  type WireOptions,
} from "../../../../src/membership/codec/packet.ts";
import { decodePushPull } from "../../../../src/membership/codec/push-pull.ts";
import { encodeStreamMessage, StreamReader } from "../../../../src/membership/codec/stream.ts";
import { lzwEncode } from "../lzw-encode.ts";

const plain: WireOptions = { keyring: undefined, label: "" };
const key = (bytes: number): string => Buffer.alloc(bytes, bytes).toString("base64");
const ring = (...keys: string[]): Keyring => new Keyring(keys, randomBytes);
const me = { name: "me", host: "10.0.0.1", port: 7946 };
const wireOptions: WireOptions[] = [
  plain,
  { keyring: undefined, label: "blue" },
  ...[16, 24, 32].map((bytes) => ({ keyring: ring(key(bytes)), label: "" })),
  { keyring: ring(key(32)), label: "green" },
];
const compress = (bytes: Uint8Array): Buffer =>
  new MsgpackWriter().byte(9).map(2).text("Algo").uint(0).text("Buf").raw(lzwEncode(bytes)).finish();

test("a datagram decodes to its messages, with every label and key", () => {
  const parts = [
    encodePing(1, "a", me),
    encodeUserMessage(Buffer.from("hello")),
    encodeUserMessage(Buffer.alloc(300, 7)),
  ];
  for (const wire of wireOptions) {
    for (const count of [1, 2, 3]) {
      for (const crc of [false, true]) {
        const encoded = encodePacket(parts.slice(0, count), wire, crc);
        assert.deepEqual(decodePacket(encoded, wire), parts.slice(0, count));
        const size = parts.slice(0, count).reduce((sum, part) => sum + part.length, 0);
        assert.ok(encoded.length <= size + packetOverheadBytes(wire) + 2 + 2 * count);
      }
    }
  }
});

test("a flipped bit is found by the checksum or by the encryption's tag", () => {
  const message = encodeUserMessage(Buffer.from("the quick brown fox"));
  for (const wire of [plain, { keyring: ring(key(32)), label: "" }]) {
    const encoded = encodePacket([message], wire, true);
    for (let at = 1; at < encoded.length; at++) {
      const damaged = Buffer.from(encoded);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      assert.throws(() => decodePacket(damaged, wire), { name: "Fault" }, `byte ${at}`);
    }
  }
});

test("with a key, plaintext and other keys are refused, and every key of the ring decrypts", () => {
  const message = encodeUserMessage(Buffer.from("x"));
  const [old, fresh] = [key(16), key(32)];
  const both: WireOptions = { keyring: ring(fresh, old), label: "" };
  const refused = { kind: "permission-denied" };
  assert.throws(() => decodePacket(encodePacket([message], plain, true), both), refused);
  const sealedOld = encodePacket([message], { keyring: ring(old), label: "" }, true);
  assert.deepEqual(decodePacket(sealedOld, both), [message]);
  assert.throws(() => decodePacket(sealedOld, { keyring: ring(fresh), label: "" }), refused);
  // An encrypted datagram has no type byte. Without a key it looks like an indirect ping, and fails as one.
  assert.throws(() => decodePacket(encodePacket([message], both, true), plain).map(decodeMessage), {
    name: "Fault",
  });
});

test("the label of another cluster is refused, on datagrams and on streams", () => {
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

test("a small message cannot cause much work: values, parts and streams are limited", () => {
  // One byte can encode a value, and a value takes a hundred bytes and a microsecond.
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
  // Every part of a compound may be compressed. The limit is for all parts together.
  const part = compress(values(60_000));
  const parts = Array.from({ length: 100 }, () => part);
  assert.ok(part.length < 600);
  assert.throws(() => decodePacket(encodePacket(parts, plain, false), plain), /more than the limit/);
  // On a stream the limit is higher, but the ratio is limited.
  const reader = new StreamReader(plain, 8 * 1024 * 1024);
  assert.throws(() => reader.push(compress(Buffer.alloc(8_000_000, 0xa0))), /more than the limit/);
  const walked = new StreamReader(plain, 8 * 1024 * 1024);
  assert.throws(() => walked.push(values(1_000_000)), /too many values/);
});

test("compression is decoded below a checksum and inside compounds, to a limited depth", () => {
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
