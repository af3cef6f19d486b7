import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ReconcileView,
  reconcile,
  whyNotRemove,
} from "../../../../../src/agent/cluster/members/reconcile.ts";
import type { PeerHello } from "../../../../../src/peer/mod.ts";
import { emptyConfState } from "../../../../../src/raft/mod.ts";

/** Directories are numbers as text, so that a peer's id is its directory. */
const hello = (name: string, peer: number, more: Partial<PeerHello> = {}): PeerHello => ({
  name,
  directory: String(peer),
  clusterId: undefined,
  configured: false,
  version: "1",
  address: `${name}:1`,
  wallMs: 0,
  ...more,
});

interface Scene {
  readonly voters: readonly number[];
  readonly learners?: readonly number[];
  readonly outgoing?: readonly number[];
  /** Members that answer; the leader is 1. */
  readonly active?: readonly number[];
  readonly match?: number;
  readonly hellos?: readonly PeerHello[];
}

const nameOf = (peer: number): string => `n${peer}`;

function viewOf({
  voters,
  learners = [],
  outgoing = [],
  active,
  match = 1_000,
  hellos = [],
}: Scene): ReconcileView {
  const peers = [...new Set([...voters, ...learners, ...outgoing])];
  const members = peers.map((peer) => ({
    peer,
    name: nameOf(peer),
    directory: String(peer),
    address: `${nameOf(peer)}:1`,
  }));
  return {
    clusterId: "ours",
    leader: 1,
    lastIndex: 1_000,
    configuration: {
      ...emptyConfState,
      voters,
      learners,
      votersOutgoing: outgoing,
      roster: { members, nextPeer: 100 },
    },
    progress: new Map(peers.map((peer) => [peer, { active: (active ?? peers).includes(peer), match }])),
    hellos,
    peerOf: Number,
  };
}
const changesOf = (scene: Scene) => reconcile(viewOf(scene)).next?.change?.changes;
const refusalOf = (scene: Scene) => reconcile(viewOf(scene)).refused[0]?.why;

test("a new node of no cluster gets the cluster's id and becomes a learner", () => {
  const found = reconcile(viewOf({ voters: [1], hellos: [hello("n2", 2)] })).next;
  assert.equal(found?.why, "added");
  assert.equal(found?.adopt?.name, "n2");
  assert.deepEqual(found?.change?.changes, [{ action: "learner", peer: 2 }]);
  assert.deepEqual(found?.change?.members, [{ peer: 2, name: "n2", directory: "2", address: "n2:1" }]);
});

test("a learner becomes a voter once it answers and has caught up", () => {
  const scene = { voters: [1], learners: [2] };
  assert.deepEqual(changesOf(scene), [{ action: "voter", peer: 2 }]);
  assert.equal(changesOf({ ...scene, match: 500 }), undefined);
  assert.equal(changesOf({ ...scene, active: [1] }), undefined);
  assert.equal(reconcile(viewOf({ ...scene, match: 500 })).waiting, true);
});

test("a learner is not promoted if the voters would lose their majority", () => {
  assert.equal(changesOf({ voters: [1, 2, 3], learners: [4], active: [1, 4] }), undefined);
  assert.deepEqual(changesOf({ voters: [1, 2, 3], learners: [4], active: [1, 2, 4] }), [
    { action: "voter", peer: 4 },
  ]);
});

test("a member that is silent, failed, or unknown to gossip is kept", () => {
  const { next, refused, waiting } = reconcile(viewOf({ voters: [1, 2, 3], active: [1, 2] }));
  assert.deepEqual([next, refused, waiting], [undefined, [], false]);
});

test("a wiped voter is replaced by a learner with the new directory", () => {
  const scene = { voters: [1, 2, 3], active: [1, 2], hellos: [hello("n3", 33)] };
  const found = reconcile(viewOf(scene)).next;
  assert.equal(found?.why, "replaced");
  assert.deepEqual(found?.change?.changes, [
    { action: "remove", peer: 3 },
    { action: "learner", peer: 33 },
  ]);
  assert.equal(found?.adopt?.directory, "33");
});

test("a wiped voter is not replaced while the old one is active, or the rest is no majority", () => {
  const hellos = [hello("n3", 33)];
  const active = reconcile(viewOf({ voters: [1, 2, 3], hellos }));
  assert.deepEqual([active.next, active.waiting], [undefined, true]);
  const weak = reconcile(viewOf({ voters: [1, 2, 3, 4, 5], active: [1, 2], hellos }));
  assert.deepEqual([weak.next, weak.waiting], [undefined, true]);
  assert.match(
    refusalOf({ voters: [1, 2], hellos: [hello("n1", 11)] }) ?? "",
    /name of this cluster's leader/,
  );
});

test("a node of another cluster is refused and reported", () => {
  const hellos = [hello("n2", 2, { clusterId: "theirs", configured: true })];
  assert.equal(refusalOf({ voters: [1], hellos }), "it belongs to cluster theirs");
  assert.equal(changesOf({ voters: [1], hellos }), undefined);
});

test("a removed node is not added again without an operator", () => {
  const hellos = [hello("n2", 2, { clusterId: "ours", configured: true })];
  assert.match(refusalOf({ voters: [1], hellos }) ?? "", /was removed from this cluster/);
});

test("a member that moved or was renamed is updated and stays a voter", () => {
  const ours = { clusterId: "ours", configured: true };
  const moved = reconcile(
    viewOf({ voters: [1, 2], hellos: [hello("n2", 2, { ...ours, address: "x:9" })] }),
  ).next;
  assert.deepEqual(moved?.change?.changes, [{ action: "update", peer: 2 }]);
  assert.equal(moved?.change?.members?.[0]?.address, "x:9");
  const duplicate = refusalOf({ voters: [1, 2, 3], hellos: [hello("n3", 2, ours)] });
  assert.match(duplicate ?? "", /another member of this cluster has its name/);
});

test("a initial member without the cluster's id gets it from the leader", () => {
  const found = reconcile(viewOf({ voters: [1, 2, 3], hellos: [hello("n2", 2)] })).next;
  assert.deepEqual([found?.why, found?.adopt?.name, found?.change], ["adopted", "n2", undefined]);
});

test("no change is made during a joint configuration", () => {
  const found = reconcile(viewOf({ voters: [1, 2], outgoing: [1, 3], hellos: [hello("n9", 9)] }));
  assert.deepEqual([found.next, found.waiting], [undefined, true]);
});

test("a voter can be removed if the rest keeps a majority, a learner always, the last voter never", () => {
  assert.equal(whyNotRemove(viewOf({ voters: [1, 2, 3] }), 3), undefined);
  assert.equal(whyNotRemove(viewOf({ voters: [1, 2, 3], active: [1, 2] }), 3), undefined);
  assert.match(whyNotRemove(viewOf({ voters: [1, 2, 3], active: [1, 2] }), 2) ?? "", /too few answer/);
  assert.match(whyNotRemove(viewOf({ voters: [1] }), 1) ?? "", /only voter/);
  assert.equal(whyNotRemove(viewOf({ voters: [1, 2], learners: [3], active: [1] }), 3), undefined);
});
