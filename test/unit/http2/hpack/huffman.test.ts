import assert from "node:assert/strict";
import { test } from "node:test";
import { huffmanDecode } from "../../../../src/http2/hpack/huffman.ts";

const decoded = (hex: string): string | undefined => {
  const bytes = Buffer.from(hex, "hex");
  return huffmanDecode(bytes, 0, bytes.length);
};

test("the examples of RFC 7541, appendix C, are decoded", () => {
  assert.equal(decoded("f1e3c2e5f23a6ba0ab90f4ff"), "www.example.com");
  assert.equal(decoded("a8eb10649cbf"), "no-cache");
  assert.equal(decoded("d07abe941054d444a8200595040b8166e082a62d1bff"), "Mon, 21 Oct 2013 20:13:21 GMT");
});

test("only the given part of the bytes is decoded", () => {
  const bytes = Buffer.from("00a8eb10649cbf00", "hex");
  assert.equal(huffmanDecode(bytes, 1, 7), "no-cache");
  assert.equal(huffmanDecode(bytes, 3, 3), "");
});

test("padding of more than seven bits, padding with a zero and the end-of-string symbol are invalid", () => {
  assert.equal(decoded("1f"), "a", "five bits and three of padding");
  assert.equal(decoded("1fff"), undefined);
  assert.equal(decoded("1e"), undefined);
  assert.equal(decoded("ffffffff"), undefined);
});

test("a code of thirty bits is decoded", () => {
  // 22, SYN: 3ffffffe, then two bits of padding.
  assert.equal(decoded("fffffffb"), "\x16");
});
