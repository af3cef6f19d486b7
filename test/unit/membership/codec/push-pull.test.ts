/** Push/pull, compared with the bytes of a Serf agent 0.9.4, captured over loopback. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePushPull, encodePushPull } from "../../../../src/membership/codec/push-pull.ts";
import { decodeSerfState, encodeSerfState } from "../../../../src/membership/serf/serf-state.ts";
import { decodeTags } from "../../../../src/membership/serf/tags.ts";
import { capturedBytes } from "../gossip-capture.ts";

test("the agent's join is decoded: its node, its tags, and its 512 empty event slots", () => {
  const captured = Buffer.concat([
    capturedBytes('06 83 a4"Join" c3 a5"Nodes" 01 ac"UserStateLen" cd 024c'),
    capturedBytes(
      '87 a4"Addr" a4 7f000001 ab"Incarnation" 01 a4"Meta" ba ff81a8"rpc_addr" ae"127.0.0.1:8401"',
    ),
    capturedBytes('a4"Name" a4"beta" a4"Port" cd 461b a5"State" 00 a3"Vsn" a6 010502020505'),
    capturedBytes('02 86 aa"EventLTime" 01 a6"Events" dc 0200'),
    Buffer.alloc(512, 0xc0),
    capturedBytes('a5"LTime" 01 ab"LeftMembers" 90 aa"QueryLTime" 01 ac"StatusLTimes" 81 a4"beta" 00'),
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
  // Our encoding is the same without the empty slots.
  const again = encodePushPull({ ...state, userState: encodeSerfState(serf) });
  assert.deepEqual(decodePushPull(again, 100).nodes, state.nodes);
});
