import assert from "node:assert/strict";
import { test } from "node:test";
import { nextBoot } from "../../../../src/replication/identity/boot.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";
import { claimOf, first, helloOf, IdentityNode, members, nonce, position, second } from "../identity-node.ts";

test("a new boot is stored before its node is accepted, so that a restarted process knows it", () => {
  const time = new VirtualTime();
  const node = new IdentityNode("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  assert.equal(node.reason(claimOf(second)), undefined);
  assert.equal(node.progressResets.length, 2, "acknowledgments of an earlier boot do not count");
  const restarted = new IdentityNode("a", time, node.store);
  assert.equal(restarted.reason(claimOf(first)), "rolled-back");
  const message = restarted.identity.check(helloOf("b", claimOf(first)))?.message ?? "";
  assert.match(message, /rolled back.*empty its data directory or run tailrace repair/);
});

test("a peer of an earlier version, without a boot number, is accepted", () => {
  const node = new IdentityNode("a", new VirtualTime());
  assert.equal(node.reason(claimOf(first)), undefined);
  assert.equal(node.identity.check(helloOf("b", undefined)), undefined);
});

test("a node of an earlier version with the directory of a running member is refused", () => {
  const time = new VirtualTime();
  const node = new IdentityNode("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  const connection = node.connect(claimOf(first));
  const old = helloOf("b", undefined);
  assert.match(node.identity.problemOf(old) ?? "", /running member/);
  assert.equal(node.identity.check(old)?.reason, "in-use");
  connection.roundTrips += 2;
  assert.equal(node.identity.check(old)?.reason, "copy");
  assert.equal(node.reason(claimOf(first)), undefined, "the member itself stays accepted");
  assert.equal(connection.closed, false);
  assert.equal(node.identity.check(old)?.reason, "in-use");
  time.now += 3_500;
  assert.equal(node.identity.check(old), undefined, "a silent boot is replaced");
  assert.equal(connection.closed, true);
});

test("a member that lacks entries that it acknowledged to this leader is refused, and its progress is reset", () => {
  const node = new IdentityNode("a", new VirtualTime());
  assert.equal(node.reason(claimOf(first)), undefined);
  node.isLeader = true;
  node.promised = { term: 3, index: 145 };
  assert.equal(node.reason(claimOf(second, position(144, 3))), "rolled-back");
  assert.equal(node.progressResets.at(-1), members[1]!.peer);
  assert.equal(node.reason(claimOf(second, position(144, 3))), "rolled-back", "the reason stays the same");
  assert.equal(
    node.reason(claimOf(nextBoot(second, nonce(3)), position(500, 9))),
    "copy",
    "a boot that follows a duplicate is one too",
  );
});
