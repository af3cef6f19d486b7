import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyConfState, message } from "../../../../src/raft/core/types.ts";
import type { EntryFormat, Message } from "../../../../src/raft/mod.ts";
import { RaftMembership } from "../../../../src/raft/node/raft-membership.ts";
import { Receiver } from "../../../../src/raft/node/receiver.ts";
import { memberOf } from "../../../support/raft/raft-cluster.ts";
import { entry, Lab } from "../raft-lab.ts";

/** A follower with the entries 1 and 2 of term 1. Entries with the text "damaged" and "other" are what they say. */
function scene(commit = 1) {
  const lab = new Lab({ id: 1, log: [1, 1], commit });
  lab.settle();
  const roster = { members: [2, 3].map(memberOf), nextPeer: 4 };
  const membership = new RaftMembership({ ...emptyConfState, voters: [1, 2, 3], roster });
  const text = ({ bytes }: { readonly bytes: Uint8Array }): string => Buffer.from(bytes).toString();
  const format: EntryFormat = {
    draft: () => new Uint8Array(0),
    seal: () => undefined,
    check: (entries) => (entries.some((one) => text(one) === "damaged") ? "checksum" : undefined),
    follows: ([first]) => first === undefined || text(first) !== "other",
  };
  const faults: string[] = [];
  const onPeerFault = (why: string): void => {
    faults.push(why);
  };
  const receiver = new Receiver({ core: lab.core, membership, format, onPeerFault });
  return { lab, receiver, faults };
}

const append = (fields: Partial<Message>): Message =>
  message("append", 1, { from: 2, term: 1, logTerm: 1, ...fields });

test("an append that follows the log is taken", () => {
  const { lab, receiver, faults } = scene();
  assert.equal(
    receiver.receive(append({ index: 2, entries: [entry(1, 3, "new")] }), "directory-2"),
    undefined,
  );
  lab.settle();
  assert.deepEqual([lab.core.lastIndex, faults], [3, []]);
});

test("a message from another data directory than the member's is ignored without an answer", () => {
  const { lab, receiver, faults } = scene();
  const message = append({ index: 2, entries: [entry(1, 3, "damaged")] });
  assert.equal(receiver.receive(message, "another"), undefined);
  assert.deepEqual([lab.core.lastIndex, faults, lab.settle()], [2, [], []]);
});

test("a damaged entry is a bad request that says what is wrong, and the core does not see the message", () => {
  const { lab, receiver } = scene();
  const entries = [entry(1, 3, "whole"), entry(1, 4, "damaged")];
  const fault = receiver.receive(append({ index: 2, entries }), "directory-2");
  assert.deepEqual([fault?.kind, fault?.facts], ["bad-request", { why: "checksum" }]);
  assert.equal(lab.core.lastIndex, 2);
});

test("entries whose content does not follow this log are a fault of the peer, although index and term agree", () => {
  const { lab, receiver, faults } = scene();
  assert.equal(receiver.receive(append({ index: 2, entries: [entry(1, 3, "other")] }), undefined), undefined);
  assert.deepEqual([lab.core.lastIndex, faults], [2, ["not-following"]]);
});

test("entries that are already here or that the core refuses anyway are no fault of the peer", () => {
  const { receiver, faults } = scene(2);
  receiver.receive(append({ index: 0, logTerm: 0, entries: [entry(1, 1, "other")] }), undefined);
  receiver.receive(append({ index: 5, entries: [entry(1, 6, "other")] }), undefined);
  receiver.receive(append({ index: 2, term: 0, entries: [entry(1, 3, "other")] }), undefined);
  receiver.receive(append({ index: 1, entries: [entry(2, 2, "other")] }), undefined);
  assert.deepEqual(faults, []);
});
