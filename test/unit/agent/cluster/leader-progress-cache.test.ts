import assert from "node:assert/strict";
import { test } from "node:test";
import {
  LeaderProgressCache,
  type LeaderProgressCacheOptions,
} from "../../../../src/agent/cluster/leader-progress-cache.ts";
import { emptyConfState } from "../../../../src/raft/mod.ts";
import { memberOf } from "../../../support/raft/raft-cluster.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

type Report = Record<string, { commitIndex: number; lastOffset: number; lag: number }>;

/** A follower whose leader answers when the test says so. */
function open() {
  const time = new VirtualTime();
  const asked: string[] = [];
  const answers: PromiseWithResolvers<Report>[] = [];
  const node = {
    isLeader: false,
    leader: memberOf(1) as ReturnType<typeof memberOf> | undefined,
    status: () => ({
      progress: new Map([
        [1, { match: 9 }],
        [2, { match: 3 }],
      ]),
      configuration: {
        ...emptyConfState,
        roster: { members: [memberOf(1), memberOf(2), memberOf(3)], nextPeer: 4 },
      },
    }),
  };
  const storedLog = {
    commitIndex: 5,
    offsetAfter: (index: number) => 10 * index,
    bounds: { lowest: 0, next: 50 },
  };
  const replica = { started: true, node, storedLog };
  const cache = new LeaderProgressCache({
    replica: replica as unknown as LeaderProgressCacheOptions["replica"],
    clock: time.clock(),
    ask: (address, verb) => {
      asked.push(`${verb} ${address}`);
      const answer = Promise.withResolvers<Report>();
      answers.push(answer);
      return answer.promise;
    },
  });
  return { time, replica, node, asked, answers, cache };
}

const report = (lag: number): Report => ({ "node-2": { commitIndex: 1, lastOffset: 1, lag } });

test("a read returns the last report, and asks for a new one at most once a second", async () => {
  const { time, asked, answers, cache } = open();
  assert.equal(cache.of("node-2"), undefined);
  answers[0]?.resolve(report(7));
  await cache.fresh();
  assert.equal(cache.of("node-2")?.lag, 7);
  assert.deepEqual(asked, ["extents 127.0.0.1:8001"]);
  time.now = 1_000;
  assert.equal(cache.of("node-2")?.lag, 7, "the old report until the new one is there");
  assert.equal(asked.length, 2);
});

test("a new leader is asked at once, and a report that fails leaves the last one", async () => {
  const { node, asked, answers, cache } = open();
  cache.of("node-2");
  answers[0]?.resolve(report(7));
  await cache.fresh();
  node.leader = memberOf(3);
  cache.of("node-2");
  answers[1]?.reject(new Error("unreachable"));
  await cache.fresh();
  assert.deepEqual([asked[1], cache.of("node-2")?.lag], ["extents 127.0.0.1:8003", 7]);
});

test("a leader that does not answer is awaited for a quarter of a second", async () => {
  const { time, cache } = open();
  const fresh = cache.fresh();
  time.step();
  await fresh;
  assert.equal(time.now, 250);
});

test("without another leader nothing is asked", async () => {
  const { replica, node, asked, cache } = open();
  node.leader = undefined;
  await cache.fresh();
  node.leader = memberOf(1);
  node.isLeader = true;
  await cache.fresh();
  replica.started = false;
  await cache.fresh();
  assert.deepEqual([asked, cache.own()], [[], {}]);
});

test("a leader reports each member that it replicates to, at most up to what is committed", () => {
  assert.deepEqual(open().cache.own(), {
    "node-1": { commitIndex: 5, lastOffset: 49, lag: 0 },
    "node-2": { commitIndex: 3, lastOffset: 29, lag: 20 },
  });
});
