import assert from "node:assert/strict";
import { test } from "node:test";
import { Inflights, Progress } from "../../../../src/raft/core/progress.ts";

const progress = (match: number, next: number, windowMax = 4): Progress => {
  const one = new Progress(next, new Inflights(windowMax, 0), false, true);
  one.match = match;
  return one;
};

test("the window is full by count or by bytes, and freed up to an index", () => {
  const window = new Inflights(3, 100);
  for (const [last, bytes] of [
    [5, 10],
    [7, 20],
  ] as const)
    window.add(last, bytes);
  assert.equal(window.full, false);
  window.add(9, 70);
  assert.equal(window.full, true);
  window.freeTo(6);
  assert.equal(window.count, 2);
  assert.equal(window.full, false);
  window.add(10, 10);
  assert.equal(window.full, true);
  window.freeTo(10);
  assert.equal(window.count, 0);
  window.add(11, 100);
  assert.equal(window.full, true);
});

test("the window keeps no memory of what was freed", () => {
  const window = new Inflights(8, 0);
  for (let index = 1; index < 10_000; index++) {
    window.add(index, 1);
    window.freeTo(index - 4);
    assert.equal(window.count, Math.min(index, 4));
  }
});

test("a probe sends one append with entries, then waits", () => {
  const probe = progress(0, 5);
  probe.sent(0, 0);
  assert.equal(probe.blocked, false);
  probe.sent(2, 10);
  assert.equal(probe.blocked, true);
  assert.equal(probe.next, 5);
});

test("replication moves next ahead without waiting, up to the window", () => {
  const peer = progress(4, 5, 2);
  peer.becomeReplicate();
  peer.sent(3, 30);
  assert.equal(peer.next, 8);
  assert.equal(peer.blocked, false);
  peer.sent(1, 10);
  assert.equal(peer.blocked, true);
  assert.equal(peer.inflights.count, 2);
});

test("a pending snapshot stops appends; probing then starts after it", () => {
  const peer = progress(1, 2);
  peer.becomeSnapshot(10);
  assert.equal(peer.blocked, true);
  assert.equal(peer.next, 11);
  peer.becomeProbe();
  assert.equal(peer.next, 11);
  assert.equal(peer.pendingSnapshot, 0);
});

test("an acknowledgment never lowers match", () => {
  const peer = progress(3, 6);
  assert.equal(peer.acknowledged(3), false);
  assert.equal(peer.acknowledged(2), false);
  assert.equal(peer.acknowledged(4), true);
  assert.equal(peer.next, 6);
  assert.equal(peer.acknowledged(9), true);
  assert.equal(peer.next, 10);
});

test("an old refusal has no effect; a new one lowers next, but not below match", () => {
  const probe = progress(2, 8);
  assert.equal(probe.refused(5, 4), false);
  assert.equal(probe.refused(7, 4), true);
  assert.equal(probe.next, 5);
  assert.equal(probe.refused(4, 0), true);
  assert.equal(probe.next, 3);
  const replicate = progress(5, 10);
  replicate.becomeReplicate();
  assert.equal(replicate.refused(5, 1), false);
  assert.equal(replicate.refused(8, 1), true);
  assert.equal(replicate.next, 6);
});

test("a commit index is sent again only if it is higher", () => {
  const peer = progress(4, 5);
  peer.becomeReplicate();
  peer.sent(3, 3);
  peer.sentCommit = 4;
  assert.equal(peer.canRaiseCommit(4), false);
  assert.equal(peer.canRaiseCommit(6), true);
  peer.sentCommit = 7;
  assert.equal(peer.canRaiseCommit(9), false);
});
