import assert from "node:assert/strict";
import { test } from "node:test";
import { message } from "../../../../src/raft/mod.ts";
import { nextBoot } from "../../../../src/replication/identity/boot.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";
import {
  claimOf,
  directoryOf,
  first,
  helloOf,
  IdentityNode,
  nonce,
  position,
  second,
} from "../identity-node.ts";

test("a promised position is stored, so that a later process of this node knows it", () => {
  const time = new VirtualTime();
  const node = new IdentityNode("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  node.identity.promised.pingReceived(helloOf("b", claimOf(first)), { term: 2, index: 77 });
  node.identity.reports.memberDisconnected(helloOf("b", claimOf(first)));
  node.identity.promised.store();
  const restarted = new IdentityNode("a", time, node.store);
  assert.equal(restarted.reason(claimOf(second, position(76, 2))), "rolled-back");
  assert.equal(restarted.reason(claimOf(nextBoot(first, nonce(7)), position(77, 2))), undefined);
});

test("a vote and an acknowledgment count as promised by the node that receives them", () => {
  const at = { term: 4, index: 17 };
  const cases = [
    { sent: message("vote-response", 1, { term: 4 }), before: position(99, 3), after: position(0, 4) },
    { sent: message("vote", 1, at), before: position(99, 3), after: position(0, 4) },
    { sent: message("append-response", 1, at), before: position(16, 4), after: position(17, 4) },
  ];
  for (const { sent, before, after } of cases) {
    const node = new IdentityNode("a", new VirtualTime());
    assert.equal(node.reason(claimOf(first)), undefined);
    node.identity.promised.messageReceived(
      helloOf("b", claimOf(first)),
      message("append-response", 1, { ...at, reject: true }),
    );
    node.identity.promised.messageReceived(helloOf("b", claimOf(first)), message("pre-vote-response", 1, at));
    assert.equal(node.identity.problemOf(helloOf("b", claimOf(second, before))), undefined);
    node.identity.promised.messageReceived(helloOf("b", claimOf(first)), sent);
    assert.match(node.identity.problemOf(helloOf("b", claimOf(second, before))) ?? "", /rolled back/);
    assert.equal(node.reason(claimOf(second, after)), undefined);
  }
});

test("a node that acknowledges before data is durable promises nothing", () => {
  const node = new IdentityNode("a", new VirtualTime());
  const lossy = { ...claimOf(first), lossy: true };
  assert.equal(node.reason(lossy), undefined);
  node.identity.promised.messageReceived(
    helloOf("b", lossy),
    message("append-response", 1, { term: 4, index: 17 }),
  );
  assert.deepEqual(node.boots.seen(directoryOf("b"))?.promised, position(0));
});
