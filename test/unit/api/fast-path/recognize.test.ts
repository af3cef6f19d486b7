import assert from "node:assert/strict";
import { test } from "node:test";
import { recognizeRequest } from "../../../../src/api/fast-path/recognize.ts";

const unary = { requestStream: false, responseStream: false };
const serverStream = { requestStream: false, responseStream: true };
const bothStreams = { requestStream: true, responseStream: true };
const plain = { ":method": "POST", "content-type": "application/grpc" };

test("a plain gRPC call is served, whatever headers without effect it has", () => {
  const inert = {
    cookie: "a=b",
    priority: "u=1",
    "sec-fetch-mode": "cors",
    "grpc-accept-encoding": "gzip",
    te: "trailers",
  };
  assert.equal(recognizeRequest({ ...plain, ...inert }, bothStreams, 1000)?.framing, "grpc");
});

test("each framing is served for the method shapes that it can carry", () => {
  const table: [string, string | undefined, string | undefined, string | undefined][] = [
    ["application/grpc+proto", "grpc", "grpc", "grpc"],
    ["application/grpc-web+proto", "grpc-web", "grpc-web", undefined],
    ["application/proto", "connect-unary", undefined, undefined],
    ["application/connect+proto", undefined, "connect-stream", "connect-stream"],
    ["application/json", "connect-unary", undefined, undefined],
    ["application/json; charset=utf-8", "connect-unary", undefined, undefined],
    ["application/connect+json", undefined, undefined, undefined],
    ["application/grpc+json", undefined, undefined, undefined],
    ["application/grpc-web-text", undefined, undefined, undefined],
    ["application/proto; charset=utf-8", undefined, undefined, undefined],
  ];
  for (const [type, ...framings] of table) {
    const headers = { ...plain, "content-type": type };
    const got = [unary, serverStream, bothStreams].map(
      (shape) => recognizeRequest(headers, shape, 1000)?.framing,
    );
    assert.deepEqual(got, framings, type);
  }
});

test("a call with an unusual value in a header that matters is left to Connect", () => {
  const unusual: Record<string, string>[] = [
    { ":method": "GET" },
    { expect: "100-continue" },
    { "grpc-encoding": "gzip" },
    { "content-encoding": "br" },
    { "connect-content-encoding": "gzip" },
    { "grpc-timeout": "5" },
    { "grpc-timeout": "123456789S" },
    { "grpc-timeout": "2S" },
    { "connect-protocol-version": "2" },
    { "content-length": "12, 12" },
  ];
  for (const headers of unusual) {
    assert.equal(recognizeRequest({ ...plain, ...headers }, unary, 1000), undefined, JSON.stringify(headers));
  }
});

test("timeouts are parsed in every unit", () => {
  const timeout = (value: string): number | undefined =>
    recognizeRequest({ ...plain, "grpc-timeout": value }, unary, 1e9)?.timeoutMs;
  assert.deepEqual(
    ["1H", "2M", "3S", "4m", "5000u", "6000000n"].map(timeout),
    [3_600_000, 120_000, 3000, 4, 5, 6],
  );
  const headers = { ...plain, "content-type": "application/proto", "connect-timeout-ms": "250" };
  assert.equal(recognizeRequest(headers, unary, 1000)?.timeoutMs, 250);
});
