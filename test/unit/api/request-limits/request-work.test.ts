import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { limitRequestWork, type TakenRuns } from "../../../../src/api/request-limits/request-work.ts";
import { Fault } from "../../../../src/fault.ts";
import { Log, ProduceBatchRequestSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope, envelopeBytes, envelopeFlag } from "../../../../src/lib/envelope.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { defaultRecordLimits } from "../../../../src/log/mod.ts";

const bytesMax = 100_000;

async function bounded(
  headers: Record<string, string>,
  chunks: readonly Uint8Array[],
  method = Log.method.produceBatch as (typeof Log.method)[keyof typeof Log.method],
) {
  const taken: TakenRuns = new Map();
  const request: UniversalServerRequest = {
    httpVersion: "1.1",
    url: "http://localhost/",
    method: "POST",
    header: new Headers(headers),
    body: (async function* () {
      yield* chunks;
    })(),
    signal: new AbortController().signal,
  };
  limitRequestWork(request, {
    method,
    taken,
    recordLimits: defaultRecordLimits,
    clock: systemClock,
    messageBytesMax: bytesMax,
    compressions: [compressionGzip],
  });
  const out: Uint8Array[] = [];
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) out.push(chunk);
  return { header: request.header, body: Buffer.concat(out), taken };
}

const repeat = (hex: string, count: number): Buffer =>
  Buffer.alloc((hex.length / 2) * count, Buffer.from(hex, "hex"));
const batch = Buffer.concat([repeat("0a030a0141", 2000), Buffer.from("1807", "hex")]);

test("a small message, and a message of a type or encoding that Connect refuses, is passed on unchanged", async () => {
  const small = Buffer.from("0a020a00", "hex");
  assert.deepEqual((await bounded({ "content-type": "application/proto" }, [small])).body, small);
  for (const headers of [
    { "content-type": "text/plain" },
    { "content-type": "application/proto", "content-encoding": "zstd" },
    { "content-type": "application/json; charset=utf-16" },
  ]) {
    assert.equal((await bounded(headers, [small, small])).body.length, 8, JSON.stringify(headers));
  }
  const long = { "content-type": "application/proto", "content-length": `${bytesMax + 1}` };
  assert.equal((await bounded(long, [batch])).header.get("content-length"), `${bytesMax + 1}`);
});

test("a compressed message of an unknown encoding is passed on unchanged, whatever its size", async () => {
  for (const message of [Buffer.from("0a020a00", "hex"), batch]) {
    const whole = Buffer.from(encodeEnvelope(message, envelopeFlag.compressed));
    for (const type of ["application/grpc+proto", "application/grpc-web+proto", "application/connect+json"]) {
      const { body, taken } = await bounded({ "content-type": type }, [whole], Log.method.produceBulk);
      assert.deepEqual([body, taken.size], [whole, 0], type);
    }
  }
});

test("the records of a large batch are taken out, compressed or not, and the rest is left to Connect", async () => {
  for (const [headers, body] of [
    [{ "content-type": "application/proto", "content-length": `${batch.length}` }, batch],
    [{ "content-type": "application/proto", "content-encoding": "gzip" }, gzipSync(batch)],
  ] as const) {
    const {
      body: rest,
      taken,
      header,
    } = await bounded({ ...headers }, [body.subarray(0, 7), body.subarray(7)]);
    assert.equal(taken.get(0)?.count, 2000);
    const message = fromBinary(ProduceBatchRequestSchema, rest);
    assert.deepEqual([message.records.length, message.expectedOffset], [0, 7n]);
    assert.equal(header.get("content-encoding"), null);
  }
});

test("a body that differs from its content-length is refused as Connect does; a body over the limit is passed on", async () => {
  const headers = { "content-type": "application/proto", "content-length": "9" };
  await assert.rejects(
    bounded(headers, [Buffer.alloc(8)]),
    (reason) =>
      reason instanceof ConnectError &&
      reason.code === Code.InvalidArgument &&
      /promised 9 bytes, received 8/.test(reason.message),
  );
  const above = await bounded({ "content-type": "application/proto" }, [
    Buffer.alloc(bytesMax),
    Buffer.alloc(5),
  ]);
  assert.equal(above.body.length, bytesMax + 5);
});

test("the reader of the body gets the refusal: a ConnectError, or a fault in the handler of a stream", async () => {
  const many = repeat("7800", 40_000);
  await assert.rejects(bounded({ "content-type": "application/proto" }, [many]), ConnectError);
  const prefix = encodeEnvelope(many).subarray(0, envelopeBytes);
  const type = { "content-type": "application/connect+proto" };
  await assert.rejects(
    bounded(type, [prefix, many], Log.method.produceStream),
    (reason) => reason instanceof Fault && reason.kind === "too-large",
  );
  await assert.rejects(bounded(type, [prefix, many], Log.method.consumeStream), ConnectError);
});
