import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { protocolVersions } from "../../../../src/membership/codec/messages.ts";
import { EventBuffer } from "../../../../src/membership/serf/serf-event.ts";
import { SerfMembers } from "../../../../src/membership/serf/serf-members.ts";
import type { NodeRecord } from "../../../../src/membership/swim/node-table.ts";
import { SwimContext } from "../../../../src/membership/swim/swim-context.ts";
import { lanTiming } from "../../../../src/membership/swim/timing.ts";

const at = { host: "10.0.0.2", port: 7946 };
const blank: NodeRecord = {
  name: "",
  at,
  meta: Buffer.alloc(0),
  versions: protocolVersions,
  incarnation: 1,
  state: "alive",
  stateChangedMs: 0,
  suspicion: undefined,
  verified: true,
  trustedUntilMs: 0,
  deathCheck: undefined,
};
const intent = { node: "theirs", lTime: 7, prune: false };

function membersWith(...known: string[]): { members: SerfMembers; join(name: string): void } {
  const context = new SwimContext({
    name: "self",
    at: { host: "10.0.0.1", port: 7946 },
    timing: lanTiming,
    prng: prng("serf-members"),
    packetBytes: 1_400,
    membersMax: 5,
    nowMs: 0,
  });
  const members = new SerfMembers(context, new EventBuffer(), 1);
  const join = (name: string): void => {
    members.handleJoin({ ...blank, name });
  };
  for (const name of known) join(name);
  return { members, join };
}

test("a leave intent counts after a push/pull that brought its time", () => {
  const { members } = membersWith("theirs");
  assert.equal(members.handleJoinIntent({ kind: "join", ...intent }, true), true);
  assert.equal(members.get("theirs")?.status, "alive");
  assert.equal(members.handleLeaveIntent({ kind: "leave", ...intent }), true);
  assert.equal(members.get("theirs")?.status, "leaving");
  assert.equal(members.handleLeaveIntent({ kind: "leave", ...intent }), false);
  members.handleLeave("theirs");
  assert.equal(members.get("theirs")?.status, "left");
});

test("a push/pull that brings the time of a known leave does not cancel it", () => {
  const { members } = membersWith("theirs");
  assert.equal(members.handleLeaveIntent({ kind: "leave", ...intent }), true);
  assert.equal(members.handleJoinIntent({ kind: "join", ...intent }, true), false);
  assert.equal(members.get("theirs")?.status, "leaving");
});

test("a leave intent with the time of a join intent is old", () => {
  const { members } = membersWith("theirs");
  assert.equal(members.handleJoinIntent({ kind: "join", ...intent }), true);
  assert.equal(members.handleLeaveIntent({ kind: "leave", ...intent }), false);
  assert.equal(members.get("theirs")?.status, "alive");
});

test("the intents of an unknown member follow the same rule", () => {
  const { members, join } = membersWith();
  assert.equal(members.handleJoinIntent({ kind: "join", ...intent }, true), true);
  assert.equal(members.handleLeaveIntent({ kind: "leave", ...intent }), true);
  join("theirs");
  assert.equal(members.get("theirs")?.status, "leaving");
});
