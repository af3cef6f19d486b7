/**
 * Streams through a follower while leadership is handed over and leaders are killed and paused.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { faultOf } from "../../src/client/mod.ts";
import { flawOf, LineStream, valuesOf } from "../cluster/streamed-lines.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { ended, startCommand } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const faults = {
  /** The leader hands over and continues as a follower. */
  handover: async (cluster: TestCluster, leader: ClusterNode, follower: ClusterNode) => {
    const to = cluster.nodes.find((node) => node !== leader && node !== follower)!;
    await ended(startCommand(["transfer", to.name, ...cluster.clientFlags(follower)]));
  },
  kill: async (cluster: TestCluster, leader: ClusterNode) => {
    await cluster.stop(leader, "SIGKILL");
    await pause(1_500);
    cluster.start(leader);
  },
  stop: async (cluster: TestCluster, leader: ClusterNode) => {
    cluster.pauseNode(leader);
    await pause(3_000);
    cluster.resumeNode(leader);
  },
};

/** A stream with a producer's sequence numbers through one node. The client does not retry it. */
async function numbered(cluster: TestCluster, node: ClusterNode, id: bigint, over: () => boolean) {
  const offsets: number[] = [];
  let sent = 0;
  let fault: ReturnType<typeof faultOf> | undefined;
  using client = cluster.connect(node);
  const requests = async function* () {
    for (; !over(); await pause(5)) {
      for (let more = 0; more < 15; more++, sent++) {
        const value = Buffer.from(`numbered-${id} ${sent}`);
        yield { record: { value }, producer: { id, epoch: 0, sequence: BigInt(sent) } };
      }
    }
  };
  try {
    for await (const { offset } of client.rpc.log.produceStream(requests())) offsets.push(Number(offset));
  } catch (reason) {
    fault = faultOf(reason);
  }
  return { offsets, sent, fault };
}

for (const [name, act] of Object.entries(faults)) {
  test(`streams keep their order: ${name}`, { timeout: 600_000 }, async (t) => {
    const cluster = await TestCluster.open(t, scratch(t));
    const follower = cluster.nodes[2]!;
    for (let round = 0; round < 6; round++) {
      await cluster.whole();
      if ((await cluster.leader()) === follower) {
        await ended(startCommand(["transfer", "n1", ...cluster.clientFlags(follower)]));
        await until("another node leads", async () => (await cluster.leader()) !== follower, processWait);
      }
      const leader = await cluster.leader();
      const plain = new LineStream(cluster, follower, `plain-${round}`, 3_000);
      let isOver = false;
      const stream = numbered(cluster, follower, BigInt(round + 1), () => isOver);
      await until("lines are written", () => plain.acknowledged > 1_000, processWait);
      await act(cluster, leader, follower);
      await pause(1_000);
      isOver = true;
      plain.stop();
      const [plainEnd, numberedEnd] = [await plain.ended(), await stream];
      await cluster.whole();
      const values = await valuesOf(cluster, follower);
      assert.equal(flawOf(values, `plain-${round}`, plainEnd), undefined);
      assert.equal(flawOf(values, `numbered-${round + 1}`, numberedEnd), undefined);
      // With sequence numbers no outcome is unknown: the follower retries at the next leader.
      assert.equal(numberedEnd.fault, undefined);
      assert.equal(numberedEnd.offsets.length, numberedEnd.sent);
      const isWhole = plainEnd.status === 0 && plainEnd.offsets.length === plainEnd.sent;
      if (name === "handover") assert.ok(isWhole, plainEnd.err);
      // Records on the way to a leader that was killed have an unknown outcome, and the stream reports it.
      else assert.ok(isWhole || /not known/.test(plainEnd.err), plainEnd.err);
      t.diagnostic(`${plainEnd.offsets.length} of ${plainEnd.sent} plain, ${numberedEnd.sent} numbered`);
    }
  });
}
