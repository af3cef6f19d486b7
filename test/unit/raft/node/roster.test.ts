import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConfState, emptyConfState } from "../../../../src/raft/core/types.ts";
import { RosterBook } from "../../../../src/raft/node/roster.ts";
import { memberOf } from "../../../support/raft/raft-cluster.ts";

const state = (voters: readonly number[], rest: Partial<ConfState> = {}): ConfState => ({
  ...emptyConfState,
  voters,
  ...rest,
});
const rostered = (...peers: number[]): ConfState =>
  state(peers, { roster: { members: peers.map(memberOf), nextPeer: Math.max(...peers) + 1 } });
const change = { transition: "auto", changes: [] } as const;

test("a number is not used again, even if the peer with the highest number is removed", () => {
  const book = new RosterBook(rostered(1, 2, 3));
  assert.equal(book.nextPeer, 4);
  const { roster } = book.apply(change, state([1, 2]));
  assert.equal(book.nextPeer, 4);
  assert.equal(new RosterBook(state([1, 2], roster === undefined ? {} : { roster })).nextPeer, 4);
});

test("the next number is above every number of the configuration, with or without a roster", () => {
  assert.equal(new RosterBook(emptyConfState).nextPeer, 1);
  assert.equal(
    new RosterBook(state([1], { votersOutgoing: [4], learners: [7], learnersNext: [5] })).nextPeer,
    8,
  );
  const book = new RosterBook(rostered(1));
  book.apply(change, state([1], { learners: [9] }));
  assert.equal(book.nextPeer, 10);
});

test("a member has its newest address, and stays while it is in any part of the configuration", () => {
  const book = new RosterBook(rostered(1, 2));
  const moved = { ...memberOf(2), address: "elsewhere:1" };
  book.apply({ ...change, members: [moved] }, state([1], { votersOutgoing: [1, 2] }));
  assert.equal(book.member(2)?.address, "elsewhere:1");
  assert.equal(book.named("node-2")?.peer, 2);
  book.apply(change, state([1]));
  assert.deepEqual([book.member(2), book.named("node-2")], [undefined, undefined]);
});

test("a node without a roster takes it from the base of the first change, and not from a later one", () => {
  const book = new RosterBook(emptyConfState);
  book.apply({ ...change, base: rostered(1, 2), members: [memberOf(3)] }, state([1, 2], { learners: [3] }));
  assert.deepEqual(book.roster, { members: [1, 2, 3].map(memberOf), nextPeer: 4 });
  book.apply({ ...change, base: rostered(1, 2, 3, 8) }, state([1, 2, 3]));
  assert.deepEqual(book.roster, { members: [1, 2, 3].map(memberOf), nextPeer: 4 });
});

test("a restored configuration replaces the whole roster", () => {
  const book = new RosterBook(rostered(1, 2, 3));
  book.restore(rostered(5, 4));
  assert.deepEqual(book.roster, { members: [4, 5].map(memberOf), nextPeer: 6 });
});
