import assert from "node:assert/strict";
import { test } from "node:test";
import type { FastRequest, Framing } from "../../../../src/api/fast-path/recognize.ts";
import { ResponseHeads } from "../../../../src/api/fast-path/response-head.ts";
import { ResponseWriter } from "../../../../src/api/fast-path/response-writer.ts";
import { Fault } from "../../../../src/fault.ts";
import { encodeEnvelope, envelopeFlag } from "../../../../src/lib/envelope.ts";
import { envelopesOf } from "../../../support/http/fast-path-servers.ts";
import { FakeFastStream } from "./fake-fast-stream.ts";

const message = Buffer.from("message");

function open(framing: Framing) {
  const stream = new FakeFastStream();
  const protocol = framing.startsWith("connect") ? "connect" : (framing as "grpc" | "grpc-web");
  const request = { framing, isJson: false, protocol, timeoutMs: undefined } as FastRequest;
  return { stream, response: new ResponseWriter(stream, request, new ResponseHeads([], () => "now")) };
}

test("a gRPC response ends with trailers, a gRPC-Web or Connect stream with a flagged envelope", () => {
  for (const [framing, flags, end] of [
    ["grpc", undefined, undefined],
    ["grpc-web", envelopeFlag.trailers, "grpc-status: 0\r\n"],
    ["connect-stream", envelopeFlag.endStream, "{}"],
  ] as const) {
    const { stream, response } = open(framing);
    response.write(encodeEnvelope(message));
    response.end();
    const [first, last, ...more] = envelopesOf(stream.body);
    assert.deepEqual([first?.flags, first?.message], [0, message], framing);
    assert.deepEqual([last?.flags, last?.message.toString(), more.length], [flags, end, 0], framing);
    assert.equal(stream.blocks.length, framing === "grpc" ? 2 : 1, framing);
    assert.ok(stream.ended);
  }
});

test("a unary Connect response is the bare message, and its error is JSON", () => {
  const done = open("connect-unary");
  done.response.finish(encodeEnvelope(message));
  assert.deepEqual([done.stream.body, done.stream.ended], [message, true]);
  const failed = open("connect-unary");
  failed.response.fail(new Fault("not-found", { message: "no such thing" }));
  const error = JSON.parse(failed.stream.body.toString()) as Record<string, unknown>;
  assert.deepEqual([error["code"], error["message"]], ["not_found", "no such thing"]);
});

test("nothing is sent after the end", () => {
  const { stream, response } = open("grpc-web");
  response.fail(new Fault("not-found"));
  const { length } = stream.body;
  response.write(encodeEnvelope(message));
  response.finish(encodeEnvelope(message));
  response.fail(new Fault("unknown"));
  response.end();
  assert.deepEqual([stream.body.length, stream.blocks.length], [length, 1]);
});
