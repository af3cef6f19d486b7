/**
 * The bytes of gossip, compared with what a real Serf agent 0.9.4 sent (captured over loopback).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMessage,
  encodeAck,
  encodeAlive,
  encodeIndirectPing,
  encodePing,
  encodeSuspectOrDead,
  type Message,
  messageType,
} from "../../../../src/membership/codec/messages.ts";
import { MsgpackWriter } from "../../../../src/membership/codec/msgpack-writer.ts";
import { decodeError, decodePushPull, encodePushPull } from "../../../../src/membership/codec/push-pull.ts";
import {
  decodeSerfMessage,
  encodeIntent,
  encodeQuery,
  encodeQueryResponse,
  encodeUserEvent,
  type SerfMessage,
} from "../../../../src/membership/serf/serf-messages.ts";
import { decodeSerfState, encodeSerfState } from "../../../../src/membership/serf/serf-state.ts";
import { decodeTags, encodeTags } from "../../../../src/membership/serf/tags.ts";

/** Text in quotes stands for itself, everything else is hex. */
function bytes(form: string): Buffer {
  const parts = [...form.matchAll(/"([^"]*)"|([0-9a-f]{2}(?:[0-9a-f]{2})*)/g)];
  return Buffer.concat(
    parts.map(([, text, hex]) =>
      text === undefined ? Buffer.from(hex as string, "hex") : Buffer.from(text),
    ),
  );
}

const alpha = { name: "alpha", host: "127.0.0.1", port: 17_946 };

test("a ping is byte for byte that of the agent", () => {
  const captured = bytes(
    '00 85 a4"Node" a4"beta" a5"SeqNo" 01 aa"SourceAddr" a4 7f000001 aa"SourceNode" a5"alpha" aa"SourcePort" cd 461a',
  );
  assert.equal(encodePing(1, "beta", alpha).toString("hex"), captured.toString("hex"));
  assert.deepEqual(decodeMessage(captured), { kind: "ping", seqNo: 1, node: "beta", source: alpha });
});

test("the agent's ack with its network coordinate is understood", () => {
  const payload = Buffer.alloc(0x82, 1);
  const captured = Buffer.concat([bytes('02 82 a7"Payload" da 0082'), payload, bytes('a5"SeqNo" 01')]);
  assert.deepEqual(decodeMessage(captured), { kind: "ack", seqNo: 1 });
});

test("a leave is the captured intent and the captured death", () => {
  const intent = encodeIntent({ kind: "leave", lTime: 2, node: "beta", prune: false });
  assert.equal(
    intent.toString("hex"),
    bytes('00 83 a5"LTime" 02 a4"Node" a4"beta" a5"Prune" c2').toString("hex"),
  );
  const dead = encodeSuspectOrDead({ kind: "dead", incarnation: 1, node: "beta", from: "beta" });
  assert.equal(
    dead.toString("hex"),
    bytes('05 83 a4"From" a4"beta" ab"Incarnation" 01 a4"Node" a4"beta"').toString("hex"),
  );
});

test("the agent's join is understood: its node, its tags, its 512 empty event slots", () => {
  const captured = Buffer.concat([
    bytes('06 83 a4"Join" c3 a5"Nodes" 01 ac"UserStateLen" cd 024c'),
    bytes('87 a4"Addr" a4 7f000001 ab"Incarnation" 01 a4"Meta" ba ff81a8"rpc_addr" ae"127.0.0.1:8401"'),
    bytes('a4"Name" a4"beta" a4"Port" cd 461b a5"State" 00 a3"Vsn" a6 010502020505'),
    bytes('02 86 aa"EventLTime" 01 a6"Events" dc 0200'),
    Buffer.alloc(512, 0xc0),
    bytes('a5"LTime" 01 ab"LeftMembers" 90 aa"QueryLTime" 01 ac"StatusLTimes" 81 a4"beta" 00'),
  ]);
  const state = decodePushPull(captured, 100);
  assert.equal(state.join, true);
  const [node] = state.nodes;
  assert.equal(node?.name, "beta");
  assert.deepEqual(node?.at, { host: "127.0.0.1", port: 0x461b });
  assert.deepEqual(decodeTags(node?.meta ?? Buffer.alloc(0)), { rpc_addr: "127.0.0.1:8401" });
  const serf = decodeSerfState(state.userState);
  assert.deepEqual([serf.lTime, serf.eventLTime, serf.queryLTime, serf.events], [1, 1, 1, []]);
  assert.deepEqual([...serf.statusLTimes], [["beta", 0]]);
  // And ours is the same but for the empty slots.
  const again = encodePushPull({ ...state, userState: encodeSerfState(serf) });
  assert.deepEqual(decodePushPull(again, 100).nodes, state.nodes);
});

test("every message comes out as it went in", () => {
  const at = { host: "2001:db8::7", port: 7946 };
  const versions = Buffer.from([1, 5, 2, 2, 5, 5]);
  const messages: [Buffer, Message][] = [
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
    wantsAck: true,
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

test("tags are Serf's, and Meta without the mark is a role", () => {
  assert.equal(encodeTags({}).toString("hex"), "ff80");
  const tags = { role: "web", zone: "ä" };
  assert.deepEqual(decodeTags(encodeTags(tags)), tags);
  assert.deepEqual(decodeTags(Buffer.from("database")), { role: "database" });
  assert.deepEqual(decodeTags(Buffer.from("ff81a9__proto__a1780", "latin1")), {
    role: "ff81a9__proto__a1780",
  });
});

test("tags that do not fit into 512 bytes are refused with both sizes", () => {
  assert.throws(() => encodeTags({ big: "x".repeat(600) }), {
    kind: "too-large",
    facts: { foundBytes: 609, bytesMax: 512 },
  });
});
