import assert from "node:assert/strict";
import { test } from "node:test";
import { message } from "../../../../src/raft/mod.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";
import {
  claimOf,
  directoryOf,
  first,
  helloOf,
  IdentityNode,
  members,
  nonce,
  position,
  second,
} from "../identity-node.ts";

test("a disconnected member is reported to all others, and again when its promised position has changed", async () => {
  const time = new VirtualTime();
  const [node, reporter] = [new IdentityNode("a", time), new IdentityNode("c", time)];
  reporter.answer = (_, body) => node.identity.reports.receive(body, helloOf("c", undefined));
  assert.equal(reporter.reason(claimOf(first)), undefined);
  const hello = helloOf("b", claimOf(first));
  for (const index of [12, 12, 17]) {
    reporter.identity.promised.messageReceived(hello, message("append-response", 1, { term: 2, index }));
    reporter.identity.reports.memberDisconnected(hello);
  }
  await new Promise(setImmediate);
  assert.deepEqual(
    reporter.asked.map(({ address }) => address),
    ["a:1", "a:1"],
    "once for each new position",
  );
  assert.equal(
    node.reason(claimOf(second, position(16, 2))),
    "rolled-back",
    "it has not seen the member itself",
  );
});

test("a member that connects gets reports about the others", async () => {
  const time = new VirtualTime();
  const [node, reporter] = [new IdentityNode("a", time), new IdentityNode("c", time)];
  reporter.answer = (_, body) => node.identity.reports.receive(body, helloOf("c", undefined));
  assert.equal(reporter.reason(claimOf(first)), undefined);
  reporter.identity.promised.pingReceived(helloOf("b", claimOf(first)), { term: 2, index: 109 });
  const rolledBack = claimOf(second, position(93, 2));
  assert.equal(node.reason(rolledBack), undefined, "it has no report yet");
  const connection = node.connect(rolledBack);
  reporter.identity.reports.memberConnected(directoryOf("a"), "a:1");
  await new Promise(setImmediate);
  assert.deepEqual(
    reporter.asked.map(({ address }) => address),
    ["a:1"],
  );
  assert.equal(connection.closed, true);
  assert.equal(node.reason(rolledBack), "rolled-back");
});

test("a repeated report is stored once", () => {
  const node = new IdentityNode("a", new VirtualTime());
  let writes = 0;
  const write = node.store.write.bind(node.store);
  node.store.write = (changes) => {
    writes++;
    write(changes);
  };
  const { life, count, nonce } = first;
  const seen = { life, count, nonce, promised: position(50), copies: [] };
  const body = { directory: directoryOf("b"), refused: "", flaw: "left", seen };
  for (let times = 0; times < 3; times++) node.identity.reports.receive(body, helloOf("c", undefined));
  assert.equal(writes, 1);
});

test("a later boot that another member has seen ends a connection only if the leader reports it", () => {
  const node = new IdentityNode("a", new VirtualTime());
  assert.equal(node.reason(claimOf(first)), undefined);
  const connection = node.connect(claimOf(first));
  const { life, count, nonce } = second;
  const seen = { life, count, nonce, promised: position(50), copies: [] };
  const body = { directory: directoryOf("b"), refused: "", flaw: "left", seen };
  const answer = node.identity.reports.receive(body, helloOf("c", undefined));
  assert.equal(connection.closed, false);
  assert.equal(answer.seen?.nonce, first.nonce);
  node.leader = members[2];
  node.identity.reports.receive(body, helloOf("c", undefined));
  assert.equal(connection.closed, true);
});

test("a member that has accepted a duplicate learns from the leader which of the two is the member", async () => {
  const time = new VirtualTime();
  const [leader, other] = [new IdentityNode("a", time), new IdentityNode("c", time)];
  leader.isLeader = true;
  other.leader = members[0];
  other.answer = (_, body) => leader.identity.reports.receive(body, helloOf("c", undefined));
  // The member is connected to the leader, the copy to the other one.
  assert.equal(leader.reason(claimOf(first)), undefined);
  leader.connect(claimOf(first));
  assert.equal(other.reason(claimOf(second)), undefined);
  const copy = other.connect(claimOf(second));
  assert.equal(other.reason(claimOf(first)), "copy", "it cannot know which of the two is the member");
  await new Promise(setImmediate);
  assert.deepEqual(
    other.asked.map(({ address }) => address),
    ["a:1"],
  );
  assert.equal(copy.closed, true);
  assert.equal(other.reason(claimOf(first)), undefined);
  assert.equal(other.reason(claimOf(second)), "copy");
});

test("a leader ends the connection of a member when another one reports that entries are lost", async () => {
  const time = new VirtualTime();
  const [leader, other] = [new IdentityNode("a", time), new IdentityNode("c", time)];
  leader.isLeader = true;
  other.leader = members[0];
  other.answer = (_, body) => leader.identity.reports.receive(body, helloOf("c", undefined));
  assert.equal(other.reason(claimOf(first)), undefined);
  other.identity.promised.pingReceived(helloOf("b", claimOf(first)), { term: 2, index: 145 });
  const rolledBack = claimOf(second, position(144, 2));
  assert.equal(leader.reason(rolledBack), undefined, "it has not seen the lost entries");
  const connection = leader.connect(rolledBack);
  assert.equal(other.reason(rolledBack), "rolled-back");
  await new Promise(setImmediate);
  assert.equal(connection.closed, true);
  assert.equal(leader.reason(rolledBack), "rolled-back");
});

test("reports are accepted only from members and about members", () => {
  const node = new IdentityNode("a", new VirtualTime());
  const seen = { life: 0, count: 9, nonce: nonce(9), promised: { term: 1, index: 1 }, copies: [] };
  const body = { directory: directoryOf("b"), refused: nonce(1), flaw: "older-boot", seen };
  assert.throws(
    () => node.identity.reports.receive(body, helloOf("stranger", undefined)),
    /only from and about members/,
  );
  assert.throws(
    () => node.identity.reports.receive({ ...body, directory: directoryOf("x") }, helloOf("c", undefined)),
    /only from and about members/,
  );
  for (const wrong of [undefined, 5, {}, { ...body, seen: { ...seen, count: -1 } }]) {
    assert.throws(() => node.identity.reports.receive(wrong, helloOf("c", undefined)), /malformed/);
  }
});
