import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { prng } from "../../../../src/lib/prng.ts";
import { isAllowedMsgpack, pack, unpackChecked } from "../../../../src/replication/storage/msgpack.ts";

describe("msgpack from peers and files", () => {
  test("allowed values are unpacked unchanged", () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom(null, true, false, undefined, 0, -1, 1.5, 2 ** 40, ""),
        fc.string({ unit: "grapheme" }),
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.array(tie("value"), { maxLength: 20 }),
        fc.dictionary(
          fc.string({ maxLength: 8 }).filter((key) => key !== "__proto__"),
          tie("value"),
          { maxKeys: 18, noNullPrototype: true },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(value, (sent) => {
        const packed = pack(sent);
        assert.equal(isAllowedMsgpack(packed), true);
        assert.deepEqual(unpackChecked(packed), { ok: true, value: sent });
      }),
      { numRuns: 500, seed: 3 },
    );
  });

  test("long lists, texts, bytes and maps are allowed", () => {
    const map = Object.fromEntries(Array.from({ length: 60_000 }, (_, at) => [`k${at}`, at]));
    for (const value of [
      Array(70_000).fill(1),
      "x".repeat(70_000),
      new Uint8Array(70_000),
      map,
      "é".repeat(300),
    ]) {
      assert.equal(unpackChecked(pack(value)).ok, true);
    }
  });

  test("a count above the number of bytes is refused before anything is allocated", () => {
    for (const bytes of [
      [0xdd, 0x01, 0xff, 0xff, 0xff],
      [0xdf, 0x7f, 0xff, 0xff, 0xff, 1],
      [0xdc, 0xff, 0xff, 1, 2],
      [0xdb, 0x7f, 0xff, 0xff, 0xff],
      [0xc6, 0x7f, 0xff, 0xff, 0xff],
      [0xd9],
      [0x92, 1],
      [],
    ]) {
      assert.deepEqual(unpackChecked(Uint8Array.from(bytes)), { ok: false, value: undefined });
    }
  });

  test("other values are refused: dates, other extensions, records, a second value, deep nesting", () => {
    assert.equal(isAllowedMsgpack(pack(new Date(0))), false);
    assert.equal(unpackChecked(Uint8Array.of(1, 2)).ok, false);
    assert.equal(unpackChecked(Uint8Array.of(0xc1)).ok, false);
    assert.equal(unpackChecked(Uint8Array.of(0xc7, 1, 5, 0)).ok, false);
    assert.equal(unpackChecked(new Uint8Array(100_000).fill(0x91)).ok, false);
  });

  test("random bytes are refused or unpacked, without an exception", () => {
    const random = prng("packed noise");
    let taken = 0;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from({ length: random.between(0, 24) }, () => random.between(0, 255));
      if (unpackChecked(bytes).ok) taken++;
    }
    assert.ok(taken > 0);
  });
});
