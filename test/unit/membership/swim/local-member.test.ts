import assert from "node:assert/strict";
import { test } from "node:test";
import type { GossipMessage } from "../../../../src/membership/codec/messages.ts";
import { GossipSwim } from "../gossip-swim.ts";

function sentAlive(core: GossipSwim, forMs: number): number[] {
  const incarnations: number[] = [];
  core.run(forMs, (message: GossipMessage) => {
    if (message.kind === "alive" && message.node === "self") incarnations.push(message.incarnation);
  });
  return incarnations;
}

test("this member refutes a suspicion with a higher incarnation, and its health score rises", () => {
  const core = new GossipSwim();
  core.alive("a", 2);
  core.suspect("self", "a", 7);
  assert.equal(core.record("self")?.incarnation, 8);
  assert.equal(core.record("self")?.state, "alive");
  assert.equal(core.swim.awareness.score, 1);
  assert.ok(sentAlive(core, 1_000).includes(8));
});

test("an announcement with a new meta raises the incarnation", () => {
  const core = new GossipSwim();
  core.alive("a", 2);
  core.swim.local.announce(Buffer.from("new"));
  assert.equal(core.record("self")?.incarnation, 2);
  assert.deepEqual(core.calls, ["join self", "join a", "update self"]);
});

test("a member that leaves broadcasts its own dead message, and refutes nothing any more", () => {
  const core = new GossipSwim();
  core.alive("a", 2);
  let done = false;
  core.swim.local.leave(() => {
    done = true;
  });
  core.suspect("self", "a", 9);
  const dead: string[] = [];
  core.run(5_000, (message) => {
    if (message.kind === "dead") dead.push(`${message.node} from ${message.from}`);
  });
  assert.ok(done && dead.includes("self from self"));
  assert.equal(core.record("self")?.state, "left");
  assert.equal(core.context.counters.refutations, 0);
});
