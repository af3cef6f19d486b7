import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { lzwDecode } from "../../../../src/membership/codec/lzw.ts";
import { MsgpackWriter } from "../../../../src/membership/codec/msgpack-writer.ts";
import { decodePacket, type WireOptions } from "../../../../src/membership/codec/packet.ts";
import { lzwEncode } from "../lzw-encode.ts";

const plain: WireOptions = { keyring: undefined, label: "" };
const compress = (bytes: Uint8Array): Buffer =>
  new MsgpackWriter().byte(9).map(2).text("Algo").uint(0).text("Buf").raw(lzwEncode(bytes)).finish();

test("the decoder returns the bytes that Go's encoder compressed", () => {
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

test("decompression stops at the limit, and any input gives a result or a Fault", () => {
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
