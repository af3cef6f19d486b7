import assert from "node:assert/strict";
import { test } from "node:test";
import { nextBoot } from "../../../../src/replication/identity/boot.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";
import { claimOf, first, helloOf, IdentityNode, nonce, second } from "../identity-node.ts";

test("while a member is alive, a second process with its directory has to wait, and is refused as a copy then", () => {
  const time = new VirtualTime();
  const node = new IdentityNode("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  const member = node.connect(claimOf(first));
  assert.match(node.identity.problemOf(helloOf("b", claimOf(second))) ?? "", /running member/);
  assert.equal(node.reason(claimOf(second)), "in-use");
  member.roundTrips++;
  time.now += 1_000;
  assert.equal(node.reason(claimOf(second)), "in-use", "the first round trip may have begun before");
  member.roundTrips++;
  time.now += 1_000;
  assert.equal(node.reason(claimOf(second)), "copy");
  assert.equal(member.closed, false);
  member.closed = true;
  assert.equal(node.reason(claimOf(second)), "copy", "also after the member has disconnected");
  assert.equal(
    node.reason(claimOf(nextBoot(first, nonce(5)))),
    undefined,
    "the member itself is accepted again",
  );
});

test("a new boot replaces a silent one of the same directory after a few seconds", () => {
  const time = new VirtualTime();
  const node = new IdentityNode("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  const left = node.connect(claimOf(first));
  for (let ms = 0; ms < 3_500; ms += 500) {
    assert.equal(node.reason(claimOf(second)), "in-use");
    time.now += 500;
  }
  assert.equal(node.reason(claimOf(second)), undefined);
  assert.equal(left.closed, true);
});
