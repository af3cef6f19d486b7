import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessControl, localIdentity } from "../../../../src/access/mod.ts";
import { CallTracker } from "../../../../src/api/calls/call-tracker.ts";
import { logPermissions } from "../../../../src/api/calls/method-permissions.ts";
import { FastCall } from "../../../../src/api/fast-path/fast-call.ts";
import type { Framing } from "../../../../src/api/fast-path/recognize.ts";
import { ResponseHeads } from "../../../../src/api/fast-path/response-head.ts";
import { receiveUnary } from "../../../../src/api/fast-path/unary-message.ts";
import { encodeEnvelope, envelopeFlag } from "../../../../src/lib/envelope.ts";
import { type CallStart, noTelemetry } from "../../../../src/lib/telemetry.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { MemoryBudget } from "../../../../src/memory/memory-budget.ts";
import { FakeFastStream } from "./fake-fast-stream.ts";

const message = Buffer.from("a message");
const messageBytesMax = 100;

/** A unary call whose request is received, with what it receives and how it ends. */
function open(framing: Framing) {
  const stream = new FakeFastStream();
  const codes: string[] = [];
  const telemetry = {
    ...noTelemetry,
    begin: (start: CallStart) => ({ ...noTelemetry.begin(start), end: (code: string) => codes.push(code) }),
  };
  const memory = new MemoryBudget({ limit: 1e6, clock: systemClock });
  const calls = new CallTracker({ access: new AccessControl(), telemetry, clock: systemClock });
  const client = { identity: localIdentity, peer: "p", secure: false };
  const tracked = calls.beginCall(logPermissions.produce, client, { protocol: "grpc" });
  const request = { framing, isJson: false, protocol: "grpc", timeoutMs: undefined } as const;
  const heads = new ResponseHeads([], () => "now");
  const call = new FastCall(stream, request, heads, tracked, calls, memory, systemClock);
  const received: Buffer[] = [];
  receiveUnary(call, messageBytesMax, (bytes, start, end) =>
    received.push(Buffer.from(bytes.subarray(start, end))),
  );
  const send = (...chunks: Uint8Array[]): void => {
    for (const chunk of chunks) stream.onData?.(chunk);
    stream.onEnd?.();
  };
  return { send, received, codes, memory, call };
}

test("the message is received when the request is complete, however it is cut into chunks", () => {
  for (const framing of ["grpc", "connect-unary"] as const) {
    const body = framing === "grpc" ? encodeEnvelope(message) : message;
    for (let cut = 0; cut < body.length; cut++) {
      const { send, received, call } = open(framing);
      send(...(cut === 0 ? [body] : [body.subarray(0, cut), body.subarray(cut)]));
      assert.deepEqual(received, [message], `${framing}, cut at ${cut}`);
      assert.equal(call.over, false);
    }
  }
});

test("a body that is not one message fails the call, and nothing is received", () => {
  const envelope = encodeEnvelope(message);
  for (const [name, body, code] of [
    ["no message", new Uint8Array(0), "unimplemented"],
    ["two messages", Buffer.concat([envelope, envelope]), "unimplemented"],
    ["part of a message", envelope.subarray(0, 9), "invalid_argument"],
    ["too large", encodeEnvelope(Buffer.alloc(messageBytesMax + 1)), "resource_exhausted"],
    ["compressed", encodeEnvelope(message, envelopeFlag.compressed), "internal"],
    ["an unknown flag", encodeEnvelope(message, 4), "invalid_argument"],
  ] as const) {
    const { send, received, codes } = open("grpc");
    send(body);
    assert.deepEqual([received.length, codes], [0, [code]], name);
  }
});

test("a bare body above the limit fails the call", () => {
  const { send, received, codes, memory } = open("connect-unary");
  send(Buffer.alloc(messageBytesMax), Buffer.alloc(1));
  assert.deepEqual([received.length, codes], [0, ["resource_exhausted"]]);
  assert.equal(memory.bytes, 0, "the memory of the request is released");
});
