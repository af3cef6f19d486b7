import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeBlock } from "../../../../src/http2/hpack/encode-block.ts";
import { CompressionError, HpackDecoder } from "../../../../src/http2/hpack/hpack-decoder.ts";

const decode = (decoder: HpackDecoder, hex: string) =>
  decoder.decode(Buffer.from(hex.replaceAll(" ", ""), "hex"));

const first = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const second = [...first, ["cache-control", "no-cache"]];
const third = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];

test("the request examples of RFC 7541 C.3, without Huffman coding, on one connection", () => {
  const decoder = new HpackDecoder(16_384);
  assert.deepEqual(decode(decoder, "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"), first);
  assert.deepEqual(decode(decoder, "8286 84be 5808 6e6f 2d63 6163 6865"), second);
  assert.deepEqual(
    decode(decoder, "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"),
    third,
  );
});

test("the request examples of RFC 7541 C.4, with Huffman coding, on one connection", () => {
  const decoder = new HpackDecoder(16_384);
  assert.deepEqual(decode(decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"), first);
  assert.deepEqual(decode(decoder, "8286 84be 5886 a8eb 1064 9cbf"), second);
  assert.deepEqual(decode(decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"), third);
});

test("the table evicts its oldest entries when a smaller size is announced", () => {
  const decoder = new HpackDecoder(16_384);
  decode(decoder, "400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65");
  assert.deepEqual(decode(decoder, "be"), [["custom-key", "custom-value"]]);
  assert.throws(() => decode(decoder, "20 be"), CompressionError);
});

test("a block that breaks the coding is a connection error", () => {
  for (const block of ["80", "ff80808080 01", "7f", "41", "4105 61", "40 01", "82 3f e11f", "3fe2 1f"]) {
    assert.throws(() => decode(new HpackDecoder(16_384), block), CompressionError, block);
  }
});

test("a header list beyond the limit is not an error, and the table still follows it", () => {
  const decoder = new HpackDecoder(100);
  const long = Buffer.concat([
    Buffer.from("400161", "hex"),
    Buffer.from([0x7f, 0x49]),
    Buffer.alloc(200, "b"),
  ]);
  assert.equal(decoder.decode(long), undefined);
  assert.equal(decoder.decode(Buffer.from("be", "hex")), undefined);
  assert.deepEqual(decode(decoder, "82"), [[":method", "GET"]]);
});

test("encoded blocks decode to the same fields", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/);
  const value = fc.stringMatching(/^[ -~]{0,300}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 10 }), (fields) => {
      assert.deepEqual(new HpackDecoder(100_000).decode(encodeBlock(fields)), fields);
    }),
    { seed: 6, numRuns: 300 },
  );
});
