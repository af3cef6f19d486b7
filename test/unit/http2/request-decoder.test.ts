import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { RequestDecoder } from "../../../src/http2/request-decoder.ts";

const fields: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
];
/** A literal field `a: b` that is added to the table (RFC 7541 §6.2.1). */
const indexedField = Buffer.from("4001610162", "hex");

test("an equal block has equal headers without being decoded again", () => {
  const decoder = new RequestDecoder(1000);
  const first = decoder.request(encodeBlock(fields));
  assert.equal(decoder.request(encodeBlock(fields)), first);
});

test("a block is decoded again after the table has changed", () => {
  const decoder = new RequestDecoder(1000);
  decoder.request(encodeBlock(fields));
  assert.equal(decoder.trailers(indexedField), true);
  const other = Buffer.concat([encodeBlock(fields), Buffer.of(0xbe)]);
  assert.deepEqual({ ...(decoder.request(other) as object) }, { ...Object.fromEntries(fields), a: "b" });
  decoder.trailers(Buffer.from("4001610163", "hex"));
  assert.deepEqual({ ...(decoder.request(other) as object) }, { ...Object.fromEntries(fields), a: "c" });
});

test("a malformed request and a list that is too large have different results", () => {
  const decoder = new RequestDecoder(200);
  assert.equal(decoder.request(encodeBlock([[":method", "GET"]])), "malformed");
  assert.equal(decoder.request(encodeBlock([...fields, ["x", "y".repeat(100)]])), "too-large");
});

test("trailers with a pseudo-header field are not valid", () => {
  const decoder = new RequestDecoder(1000);
  assert.equal(decoder.trailers(encodeBlock([["checksum", "1"]])), true);
  assert.equal(decoder.trailers(encodeBlock([[":path", "/"]])), false);
});
