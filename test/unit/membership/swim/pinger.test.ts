import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, GossipSwim } from "../gossip-swim.ts";

/** Returns the acks and nacks that are sent within a second, as `KIND SEQNO to HOST`. */
function replies(core: GossipSwim, acknowledged: readonly number[] = []): string[] {
  const sent: string[] = [];
  core.run(1_000, (message, to) => {
    if (message.kind === "ack" || message.kind === "nack")
      sent.push(`${message.kind} ${message.seqNo} to ${to}`);
    core.acknowledge(...acknowledged)(message, to);
  });
  return sent;
}

test("a ping for this member or for any is acknowledged, to the sender that it names", () => {
  const core = new GossipSwim();
  const source = { name: "a", ...addressOf(2) };
  core.swim.handle({ kind: "ping", seqNo: 1, node: "self", source }, addressOf(9));
  core.swim.handle({ kind: "ping", seqNo: 2, node: "", source: undefined }, addressOf(9));
  core.swim.handle({ kind: "ping", seqNo: 3, node: "other", source }, addressOf(9));
  assert.deepEqual(replies(core), ["ack 1 to 10.0.0.2", "ack 2 to 10.0.0.9"]);
});

test("an indirect ping gets an ack if its target answers, otherwise a nack if it is requested", () => {
  for (const [answers, nack, expected] of [
    [[3], true, ["ack 7 to 10.0.0.2"]],
    [[], true, ["nack 7 to 10.0.0.2"]],
    [[], false, []],
  ] as const) {
    const core = new GossipSwim();
    const source = { name: "a", ...addressOf(2) };
    const target = addressOf(3);
    core.swim.handle({ kind: "indirect-ping", seqNo: 7, target, node: "b", nack, source }, addressOf(2));
    assert.deepEqual(replies(core, answers), expected);
  }
});

test("a member that pings from its own address is verified, and one that is only named is not", () => {
  const core = new GossipSwim();
  core.alive("a", 2);
  core.alive("b", 3);
  core.swim.handle(
    { kind: "ping", seqNo: 1, node: "", source: { name: "a", ...addressOf(2) } },
    addressOf(2),
  );
  core.swim.handle(
    { kind: "ping", seqNo: 2, node: "", source: { name: "b", ...addressOf(3) } },
    addressOf(9),
  );
  assert.deepEqual([core.record("a")?.verified, core.record("b")?.verified], [true, false]);
});
