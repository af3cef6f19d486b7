import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 as reference } from "node:zlib";
import { crc32 } from "../../../src/lib/checksum.ts";
import { crc32ByTable } from "../../../src/lib/crc-table.ts";
import { prng } from "../../../src/lib/prng.ts";

test("the checksum equals that of zlib for every length, in one part and in several", () => {
  const chance = prng("checksum");
  const bytes = Uint8Array.from({ length: 700 }, () => chance.between(0, 255));
  for (let end = 0; end <= bytes.length; end++) {
    const expected = reference(bytes.subarray(3, Math.max(3, end)));
    assert.equal(crc32(bytes, 3, Math.max(3, end)), expected);
    assert.equal(crc32ByTable(bytes, 3, Math.max(3, end)), expected, "by table alone, as in a browser");
    const middle = chance.between(3, Math.max(3, end));
    assert.equal(crc32(bytes, middle, Math.max(3, end), crc32(bytes, 3, middle)), expected);
  }
});

test("the checksum of 123456789 is the check value of the standard", () => {
  assert.equal(crc32(Buffer.from("123456789")), 0xcbf43926);
});
