/** Serf's messages, compared with the bytes of a Serf agent 0.9.4, captured over loopback. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMessage,
  encodeAck,
  encodeAlive,
  encodeIndirectPing,
  encodeSuspectOrDead,
  type GossipMessage,
  messageType,
} from "../../../../src/membership/codec/messages.ts";
import { MsgpackWriter } from "../../../../src/membership/codec/msgpack-writer.ts";
import { decodeError } from "../../../../src/membership/codec/push-pull.ts";
import {
  decodeSerfMessage,
  encodeIntent,
  encodeQuery,
  encodeQueryResponse,
  encodeUserEvent,
  type SerfMessage,
} from "../../../../src/membership/serf/serf-messages.ts";
import { capturedBytes } from "../gossip-capture.ts";

const alpha = { name: "alpha", host: "127.0.0.1", port: 17_946 };

test("the intent and the dead message of a leave have the captured bytes", () => {
  const intent = encodeIntent({ kind: "leave", lTime: 2, node: "beta", prune: false });
  assert.equal(
    intent.toString("hex"),
    capturedBytes('00 83 a5"LTime" 02 a4"Node" a4"beta" a5"Prune" c2').toString("hex"),
  );
  const dead = encodeSuspectOrDead({ kind: "dead", incarnation: 1, node: "beta", from: "beta" });
  assert.equal(
    dead.toString("hex"),
    capturedBytes('05 83 a4"From" a4"beta" ab"Incarnation" 01 a4"Node" a4"beta"').toString("hex"),
  );
});

test("every message decodes to what was encoded", () => {
  const at = { host: "2001:db8::7", port: 7946 };
  const versions = Buffer.from([1, 5, 2, 2, 5, 5]);
  const messages: [Buffer, GossipMessage][] = [
    [
      encodeIndirectPing(77, "gamma", at, alpha),
      { kind: "indirect-ping", seqNo: 77, target: at, node: "gamma", nack: true, source: alpha },
    ],
    [encodeAck("nack", 0xffff_ffff), { kind: "nack", seqNo: 0xffff_ffff }],
    [
      encodeSuspectOrDead({ kind: "suspect", incarnation: 70_000, node: "ä", from: "b" }),
      { kind: "suspect", incarnation: 70_000, node: "ä", from: "b" },
    ],
    [
      encodeAlive({ incarnation: 3, node: "x", at, meta: Buffer.from([255, 128]), versions }),
      { kind: "alive", incarnation: 3, node: "x", at, meta: Buffer.from([255, 128]), versions },
    ],
  ];
  for (const [encoded, message] of messages) assert.deepEqual(decodeMessage(encoded), message);

  const payload = Buffer.from("payload");
  const serf: [Buffer, SerfMessage][] = [
    [
      encodeUserEvent({ kind: "user-event", lTime: 9, name: "deploy", payload, coalesce: true }),
      { kind: "user-event", lTime: 9, name: "deploy", payload, coalesce: true },
    ],
    [
      encodeQueryResponse({ kind: "query-response", lTime: 4, id: 1, from: "me", ack: false, payload }),
      { kind: "query-response", lTime: 4, id: 1, from: "me", ack: false, payload },
    ],
  ];
  const query = {
    kind: "query",
    lTime: 5,
    id: 0xdead_beef,
    at,
    from: "me",
    filters: [
      { kind: "nodes", names: ["a", "b"] },
      { kind: "tag", tag: "role", expression: "web.*" },
    ],
    requestsAck: true,
    noBroadcast: false,
    timeoutMs: 15_000,
    name: "uptime",
    payload,
  } as const;
  serf.push([encodeQuery(query), query]);
  for (const [encoded, message] of serf) assert.deepEqual(decodeSerfMessage(encoded), message);
  const error = new MsgpackWriter().byte(messageType.err).map(1).text("Error").text("no").finish();
  assert.equal(decodeError(error), "no");
});
