import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as bytes from "../../../src/lib/bytes.ts";

fc.configureGlobal({ seed: 20261121 });

const safe = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(300),
  fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53 - 1, 127, 128, 16384),
);

test("fixed-width integers are decoded as they were encoded, in both byte orders", () => {
  fc.assert(
    fc.property(
      fc.nat(0xffffffff),
      safe,
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.nat(9),
      (small, large, big, at) => {
        const room = new Uint8Array(20);
        bytes.writeU32be(room, at, small);
        assert.equal(bytes.readU32be(room, at), small);
        bytes.writeU32le(room, at, small);
        assert.equal(bytes.readU32le(room, at), small);
        assert.equal(new DataView(room.buffer).getUint32(at, true), small);
        bytes.writeU64le(room, at, large);
        assert.equal(bytes.readU64le(room, at), large);
        bytes.writeBigU64le(room, at, big);
        assert.equal(bytes.readBigU64le(room, at), big);
        assert.equal(new DataView(room.buffer).getBigUint64(at, true), big);
      },
    ),
  );
});

test("a varint is decoded as it was encoded, has the computed length, and is refused with one byte less", () => {
  fc.assert(
    fc.property(safe, fc.nat(5), (value, at) => {
      const room = new Uint8Array(20);
      const end = bytes.writeVarint(room, at, value);
      assert.equal(end - at, bytes.varintBytes(value));
      assert.equal(bytes.readVarint(room, at, end), value);
      assert.equal(bytes.varintEnd(room, at, end), end);
      assert.equal(bytes.readVarint(room, at, end - 1), -1);
      assert.equal(bytes.varintEnd(room, at, end - 1), -1);
    }),
  );
});

test("a varint above 2^53 or longer than ten bytes is refused", () => {
  const large = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1);
  assert.equal(bytes.readVarint(large, 0, 10), -1);
  assert.equal(bytes.varintEnd(large, 0, 10), 10);
  assert.equal(bytes.varintEnd(new Uint8Array(12).fill(0x80), 0, 12), -1);
});

test("hex text is decoded as it was encoded", () => {
  assert.equal(bytes.toHex(Uint8Array.of(0, 15, 255)), "000fff");
  assert.deepEqual(bytes.fromHex("000fff"), Uint8Array.of(0, 15, 255));
  assert.throws(() => bytes.fromHex("0g"));
});
