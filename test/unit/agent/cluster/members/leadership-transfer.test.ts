import assert from "node:assert/strict";
import { test } from "node:test";
import {
  LeadershipTransfer,
  transferMs,
} from "../../../../../src/agent/cluster/members/leadership-transfer.ts";
import { emptyConfState } from "../../../../../src/raft/mod.ts";
import { LeaderWatch } from "../../../../../src/replication/leader-watch.ts";
import type { Replica } from "../../../../../src/replication/mod.ts";
import { StillClock } from "../../../../support/log/logs.ts";
import { memberOf } from "../../../../support/raft/raft-cluster.ts";

interface Progress {
  readonly match: number;
  readonly active: boolean;
}

/** The leader node-1 with the voters 2 and 3 and the learner 4. A transfer succeeds unless `stays`. */
function open({ stays = false, progress = {} as Record<number, Progress> } = {}) {
  const clock = new StillClock();
  const watch = new LeaderWatch({ clock, ready: () => true, leads: () => true, leaderName: () => undefined });
  const asked: number[] = [];
  const members = [1, 2, 3, 4].map(memberOf);
  const known = { 1: { match: 9, active: true }, 2: { match: 7, active: true }, ...progress };
  const configuration = {
    ...emptyConfState,
    voters: [1, 2, 3],
    learners: [4],
    roster: { members, nextPeer: 5 },
  };
  const node = {
    isLeader: true,
    leader: memberOf(1),
    configuration,
    member: (name: string) => members.find((one) => one.name === name),
    status: () => ({
      configuration,
      progress: new Map(Object.entries(known).map(([peer, at]) => [Number(peer), at])),
    }),
    transferLeadership: (peer: number) => {
      asked.push(peer);
      if (!stays) node.leader = memberOf(peer);
    },
  };
  const replica = { node, watch, started: true, identity: memberOf(1) };
  const transfer = new LeadershipTransfer(replica as unknown as Replica, clock);
  /** Advances the clock until the work is over. */
  const inTime = async <T>(work: Promise<T>): Promise<T> => {
    for (let passed = 0; passed <= transferMs; passed += 50) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(50);
    }
    return work;
  };
  return { node, replica, asked, transfer, inTime };
}

test("without a name the active voter with the longest log becomes the leader", async () => {
  const progress = { 3: { match: 8, active: true }, 4: { match: 9, active: true } };
  assert.equal(await open({ progress }).transfer.to(""), "node-3");
  const inactive = { ...progress, 3: { match: 8, active: false } };
  assert.equal(await open({ progress: inactive }).transfer.to(""), "node-2");
});

test("a transfer to this node is done, one to a learner or to a stranger is refused", async () => {
  const { transfer, asked } = open();
  assert.equal(await transfer.to("node-1"), "node-1");
  await assert.rejects(transfer.to("node-4"), { kind: "failed-precondition" });
  await assert.rejects(transfer.to("node-9"), { kind: "not-found" });
  assert.deepEqual(asked, []);
});

test("without another active voter there is no transfer", async () => {
  const { transfer, asked } = open({ progress: { 2: { match: 7, active: false } } });
  await assert.rejects(transfer.to(""), { kind: "failed-precondition", message: "no other voter can lead" });
  await transfer.handOver(1_000);
  assert.deepEqual(asked, []);
});

test("a voter that does not take over in time makes the transfer unavailable, with the leader that there is", async () => {
  const { transfer, inTime } = open({ stays: true });
  const work = transfer.to("node-2");
  work.catch(() => undefined);
  await assert.rejects(inTime(work), { kind: "unavailable", facts: { leader: "node-1" } });
});

test("a leader hands over to a voter that suits, and resolves also if that fails", async () => {
  const progress = { 3: { match: 8, active: true } };
  const suited = open({ progress, stays: true });
  await suited.inTime(suited.transfer.handOver(1_000, ({ peer }) => peer === 2));
  assert.deepEqual(suited.asked, [2]);
  const follower = open({ progress });
  follower.node.isLeader = false;
  await follower.transfer.handOver(1_000);
  assert.deepEqual(follower.asked, []);
});
