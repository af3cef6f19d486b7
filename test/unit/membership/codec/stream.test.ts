/** Messages on a stream. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Keyring } from "../../../../src/membership/codec/keyring.ts";
import { encodePing, protocolVersions } from "../../../../src/membership/codec/messages.ts";
import { MsgpackWriter } from "../../../../src/membership/codec/msgpack-writer.ts";
import type { WireOptions } from "../../../../src/membership/codec/packet.ts";
import { decodePushPull, encodePushPull } from "../../../../src/membership/codec/push-pull.ts";
import { encodeStreamMessage, StreamReader } from "../../../../src/membership/codec/stream.ts";
import { decodeSerfState, encodeSerfState } from "../../../../src/membership/serf/serf-state.ts";
import { encodeTags } from "../../../../src/membership/serf/tags.ts";
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

test("the compressed state of the largest cluster is accepted", () => {
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

test("a stream's message is complete with its last byte, however the bytes are split", () => {
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
  for (const wire of wireOptions) {
    for (const message of [state, encodePing(5, "a", me), user, compress(state)]) {
      const encoded = encodeStreamMessage(message, wire);
      for (const size of [1, 7, 1_000_000]) {
        const reader = new StreamReader(wire, 100_000);
        let got: Buffer | undefined;
        for (let at = 0; at < encoded.length; at += size) {
          assert.equal(got, undefined);
          got = reader.push(encoded.subarray(at, at + size));
        }
        assert.deepEqual(got, message[0] === 9 ? state : message);
      }
    }
  }
});

test("a stream that announces too many bytes is refused at once", () => {
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
  const encoded: WireOptions = { keyring: ring(key(32)), label: "" };
  assert.throws(() => new StreamReader(encoded, 100_000).push(Buffer.from("0affffffff", "hex")), {
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
