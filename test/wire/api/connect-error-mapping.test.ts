/** Errors that Connect finds before a handler runs have the code and the ErrorInfo of all others: nothing was written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";

const envelope = (message: string): Buffer => Buffer.from(encodeEnvelope(Buffer.from(message)));
const bad = '{"record":{"value":"!"}}';
const large = `{"record":{"value":"${"A".repeat(4000)}"}}`;

interface JsonError {
  readonly code: string;
  readonly details: readonly {
    readonly type: string;
    readonly debug: { reason: string; metadata: { written: string } };
  }[];
}

test("an early error of a unary Connect call has a code and an ErrorInfo", async () => {
  await using served = await serve({ requestBytesMax: 3000 });
  for (const [body, status, code, reason] of [
    [bad, 400, "invalid_argument", "BAD_REQUEST"],
    ["{", 400, "invalid_argument", "BAD_REQUEST"],
    [large, 429, "resource_exhausted", "TOO_LARGE"],
  ] as const) {
    const answer = await curl(`${served.url}/log.v1.Log/Produce`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    const error = answer.json as unknown as JsonError;
    assert.deepEqual([answer.status, error.code], [status, code]);
    assert.deepEqual(
      [error.details[0]?.type, error.details[0]?.debug.reason, error.details[0]?.debug.metadata.written],
      ["google.rpc.ErrorInfo", reason, "no"],
    );
  }
  const binary = await curl(`${served.url}/log.v1.Log/Produce`, {
    method: "POST",
    body: Uint8Array.of(0xff, 0xff),
    headers: { "content-type": "application/proto" },
  });
  assert.deepEqual([binary.status, binary.json["code"]], [400, "invalid_argument"]);
});

test("an early error of a Connect stream has a code and an ErrorInfo", async () => {
  await using served = await serve({ requestBytesMax: 3000 });
  for (const [body, code] of [
    [envelope("{"), "invalid_argument"],
    [envelope("{}").subarray(0, 4), "invalid_argument"],
    [envelope(large), "resource_exhausted"],
  ] as const) {
    const answer = await curl(`${served.url}/log.v1.Log/ConsumeStream`, {
      method: "POST",
      body,
      headers: { "content-type": "application/connect+json" },
    });
    const { error } = JSON.parse(answer.text.slice(5)) as { error: JsonError };
    assert.deepEqual(
      [answer.status, error.code, error.details[0]?.debug.metadata.written],
      [200, code, "no"],
    );
  }
});

test("an early error of gRPC-Web has a code and an ErrorInfo, in both modes", async () => {
  await using served = await serve({ requestBytesMax: 3000 });
  for (const text of [false, true]) {
    const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 2]), Buffer.from([0xff, 0xff])]);
    const answer = await curl(`${served.url}/log.v1.Log/Produce`, {
      method: "POST",
      body: text ? message.toString("base64") : message,
      headers: { "content-type": text ? "application/grpc-web-text" : "application/grpc-web+proto" },
    });
    const body = text ? Buffer.from(answer.text, "base64").toString() : answer.text;
    assert.match(body, /grpc-status: 3\r\n/);
    const [, details] = /grpc-status-details-bin: (\S+)\r\n/.exec(body) ?? [];
    const status = fromBinary(StatusSchema, Buffer.from(details ?? "", "base64"));
    const info = fromBinary(ErrorInfoSchema, status.details[0]!.value);
    assert.deepEqual([info.reason, info.metadata["written"]], ["BAD_REQUEST", "no"]);
  }
});

test("a bulk load with a batch that is too large is an error of the client", async () => {
  await using served = await serve({ requestBytesMax: 3000 });
  const batch = envelope('{"records":[{"value":"YQ=="}]}');
  const answer = await curl(`${served.url}/log.v1.Log/ProduceBulk`, {
    method: "POST",
    body: Buffer.concat([batch, envelope(large)]),
    headers: { "content-type": "application/connect+json" },
  });
  const { error } = JSON.parse(answer.text.slice(5)) as { error: JsonError };
  const { reason, metadata } = error.details[0]?.debug ?? assert.fail("no details");
  assert.deepEqual([error.code, reason, metadata.written], ["resource_exhausted", "TOO_LARGE", "no"]);
});

test("an early error that Connect compresses is completed too", async () => {
  await using served = await serve();
  const wrong = `{"offset":"${"z".repeat(2000)}"}`;
  for (const [path, type, body, accept] of [
    ["Consume", "application/json", Buffer.from(wrong), "accept-encoding"],
    ["ConsumeStream", "application/connect+json", envelope(wrong), "connect-accept-encoding"],
    ["Consume", "application/grpc-web+json", envelope(wrong), "grpc-accept-encoding"],
  ] as const) {
    const answer = await fetch(`${served.url}/log.v1.Log/${path}`, {
      method: "POST",
      body: new Uint8Array(body),
      headers: { "content-type": type, [accept]: "gzip" },
    });
    const text = await answer.text();
    assert.match(text, /invalid_argument|grpc-status: 3/, type);
    assert.match(text, /"written":"no"|grpc-status-details-bin/, type);
  }
});

test("an error whose message holds an unpaired surrogate is an error of the client in gRPC too", async () => {
  await using served = await serve();
  for (const wrong of ['{"offset":"\\ud800"}', "\u{1f600}"]) {
    const answer = await fetch(`${served.url}/log.v1.Log/Consume`, {
      method: "POST",
      body: new Uint8Array(envelope(wrong)),
      headers: { "content-type": "application/grpc-web+json" },
    });
    const text = await answer.text();
    const status = answer.headers.get("grpc-status") ?? /grpc-status: (\d+)/.exec(text)?.[1];
    assert.equal(status, "3", wrong);
  }
});
