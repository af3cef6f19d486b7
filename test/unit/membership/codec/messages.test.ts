/** memberlist's messages, compared with the bytes of a Serf agent 0.9.4, captured over loopback. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, encodePing } from "../../../../src/membership/codec/messages.ts";
import { capturedBytes } from "../gossip-capture.ts";

const alpha = { name: "alpha", host: "127.0.0.1", port: 17_946 };

test("a ping has the same bytes as the agent's", () => {
  const captured = capturedBytes(
    '00 85 a4"Node" a4"beta" a5"SeqNo" 01 aa"SourceAddr" a4 7f000001 aa"SourceNode" a5"alpha" aa"SourcePort" cd 461a',
  );
  assert.equal(encodePing(1, "beta", alpha).toString("hex"), captured.toString("hex"));
  assert.deepEqual(decodeMessage(captured), { kind: "ping", seqNo: 1, node: "beta", source: alpha });
});

test("the agent's ack with a network coordinate is decoded", () => {
  const payload = Buffer.alloc(0x82, 1);
  const captured = Buffer.concat([
    capturedBytes('02 82 a7"Payload" da 0082'),
    payload,
    capturedBytes('a5"SeqNo" 01'),
  ]);
  assert.deepEqual(decodeMessage(captured), { kind: "ack", seqNo: 1 });
});
