import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeGrpcMessage, reencodeGrpcMessage } from "../../../../src/api/connect/grpc-message.ts";

test("a gRPC message survives decodeURI, which is how grpc-js reads it", () => {
  const text = 'offset 7: out, of "range"; 100% ünï / a=b&c+d@e$f #?\n';
  assert.equal(decodeURI(encodeGrpcMessage(text)), text);
  assert.match(encodeGrpcMessage(text), /^[\x20-\x7e]+$/);
  const trailer = new Headers({ "grpc-message": encodeURIComponent("a: b, c") });
  reencodeGrpcMessage(trailer);
  assert.equal(trailer.get("grpc-message"), "a: b, c");
});
