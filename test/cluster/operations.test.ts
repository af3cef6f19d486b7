import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Membership, openMembership } from "../../src/membership/mod.ts";
import { curl } from "../support/http/curl.ts";
import { type ClusterNode, processWait, TestCluster, type TestContext } from "../support/process/cluster.ts";
import { tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { localTiming } from "../support/time/local-timing.ts";
import { until } from "../support/until.ts";

type Three = [ClusterNode, ClusterNode, ClusterNode];

const post = async (node: ClusterNode, value: string): Promise<number> => {
  const body = JSON.stringify({ record: { value: Buffer.from(value).toString("base64") } });
  const answer = await curl(node.url, { method: "POST", body });
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return Number(answer.json["offset"]);
};
const get = (node: ClusterNode, offset: number) => curl(`${node.url}/?offset=${offset}`);
const valueAt = async (node: ClusterNode, offset: number): Promise<string> => {
  const { record } = (await get(node, offset)).json as { record: { value: string } };
  return Buffer.from(record.value, "base64").toString("utf8");
};

/** A member of gossip that is not a Tailrace node, such as an operator's serf agent. */
async function observer(t: TestContext, name: string, seeds: readonly string[]): Promise<Membership> {
  const membership = await openMembership({ name, host: "127.0.0.1", port: 0, timing: localTiming });
  t.after(() => membership[Symbol.asyncDispose]());
  await membership.join(seeds);
  return membership;
}

/** Appends records one by one, to all nodes in turn, until stop(). stop() resolves to the acknowledged records by offset. */
function writer(nodes: readonly ClusterNode[]): { stop(): Promise<Map<number, string>> } {
  const acked = new Map<number, string>();
  let isRunning = true;
  const work = (async () => {
    for (let n = 0; isRunning; n++) {
      const value = `v${n}`;
      const node = nodes[n % nodes.length]!;
      const offset = await post(node, value).catch(() => undefined);
      if (offset !== undefined) acked.set(offset, value);
      await pause(10);
    }
  })();
  return {
    async stop() {
      isRunning = false;
      await work;
      return acked;
    },
  };
}

/** One cluster for all: each of these tests ends with three voters that are up. */
test("a cluster of three nodes", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));

  await t.test("a record posted to a follower can be read from the same follower at once", async () => {
    for (const follower of await cluster.followers()) {
      for (let n = 0; n < 40; n++) {
        const offset = await post(follower, `${follower.name} ${n}`);
        const { status, text } = await get(follower, offset);
        assert.equal(status, 200, text);
      }
    }
  });

  await t.test(
    "a rolling restart with SIGTERM keeps the quorum, the voters and every acknowledged record",
    async (t) => {
      const writing = writer(cluster.nodes);
      for (const node of cluster.nodes) {
        assert.equal(await cluster.stop(node), 0);
        const voters = (await cluster.status(await cluster.leader())).voters;
        assert.deepEqual([...voters].sort(), ["n1", "n2", "n3"]);
        cluster.start(node);
        await cluster.ready(node);
      }
      const acked = await writing.stop();
      assert.ok(acked.size > 10, `${acked.size} acknowledged`);
      t.diagnostic(`${acked.size} records acknowledged during three restarts`);
      for (const node of cluster.nodes) {
        const flags = ["--from", "start", "--format", "%v\\n", ...cluster.clientFlags(node)];
        const values = (await tailrace(["consume", ...flags])).out.split("\n");
        for (const [offset, value] of acked) assert.equal(values[offset], value);
      }
    },
  );

  await t.test(
    "SIGUSR2 hands leadership over from a leader only, and its node stays a voter and serves",
    async () => {
      const first = await cluster.leader();
      const { term } = await cluster.status(first);
      const [follower] = (await cluster.followers()) as [ClusterNode];
      follower.child!.kill("SIGUSR2");
      await until("it has no leadership to hand over", () => /does not lead/.test(follower.log), processWait);
      first.child!.kill("SIGUSR2");
      await until("it says who leads now", () => /"handed leadership over"/.test(first.log), processWait);
      const status = await cluster.status(first);
      assert.notEqual(status.leader, first.name);
      assert.ok(status.term > term);
      assert.ok(status.voters.includes(first.name));
      await post(first, "the node serves on");
    },
  );

  await t.test(
    "a wiped first node does not bootstrap a second cluster: it returns as a learner and becomes a voter",
    async () => {
      const [one, two] = cluster.nodes as Three;
      let last = 0;
      for (let n = 0; n < 20; n++) last = await post(two, `${n}`);
      await cluster.stop(one, "SIGKILL");
      cluster.wipe(one);
      cluster.start(one);
      await cluster.whole();
      const leader = await cluster.leader();
      assert.match(leader.log, /"member":"n1","change":"replaced"/);
      assert.match(leader.log, /"member":"n1","change":"promoted"/);
      assert.equal(await valueAt(one, last), "19");
      assert.equal(await post(one, "more"), last + 1);
    },
  );

  await t.test("a voter that is removed from gossip stays a voter", async (t) => {
    const [one, , three] = cluster.nodes as Three;
    const agent = await observer(t, "operator", [one.addr]);
    await cluster.stop(three, "SIGKILL");
    const stateOf = (name: string) => agent.members().find((member) => member.name === name)?.status;
    await until("gossip knows that it failed", () => stateOf("n3") === "failed", processWait);
    agent.forceLeave("n3", { prune: true });
    await until("gossip removes it", () => stateOf("n3") !== "failed", processWait);
    await pause(1_000);
    const { voters } = await cluster.status(await cluster.leader());
    assert.deepEqual([...voters].sort(), ["n1", "n2", "n3"]);
    await post(one, "still two of three");
    cluster.start(three);
    await cluster.whole();
  });
});

test("two clusters that gossip joins stay two clusters", async (t) => {
  const [left, right] = await Promise.all([
    TestCluster.open(t, scratch(t), { nodes: 1, prefix: "left" }),
    TestCluster.open(t, scratch(t), { nodes: 1, prefix: "right" }),
  ]);
  const [a, b] = [left.nodes[0]!, right.nodes[0]!];
  const agent = await observer(t, "bridge", [a.addr]);
  await agent.join([b.addr]);
  await until(
    "each logs that the other belongs to another cluster",
    () => [a, b].every(({ log }) => /another cluster/.test(log)),
    processWait,
  );
  await pause(1_000);
  assert.deepEqual((await left.status(a)).voters, ["left1"]);
  assert.deepEqual((await right.status(b)).voters, ["right1"]);
  assert.equal(await post(a, "left"), 0);
  assert.equal(await post(b, "right"), 0);
});

test("a node that waits to be added says why it is not ready, and refuses writes as not written", async (t) => {
  const cluster = await TestCluster.make(t, scratch(t), { nodes: 2, begin: "join" });
  const [first, second] = cluster.nodes as [ClusterNode, ClusterNode];
  cluster.start(second);
  await until(
    "it says why it is not ready",
    async () => (await cluster.unready(second))?.includes("waits to be added"),
    processWait,
  );
  assert.deepEqual((await cluster.status(second)).role, "learner");
  const body = `{"record":{"value":"YQ=="}}`;
  const refused = await curl(second.url, { method: "POST", body });
  assert.deepEqual([refused.status, refused.json["written"]], [503, "no"]);
  cluster.start(first);
  await cluster.whole();
  assert.equal(await post(second, "a"), 0);
});

test("nodes that restart at other addresses are found there", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { nodes: 1 });
  const [one] = cluster.nodes as [ClusterNode];
  await cluster.stop(one);
  await cluster.move(one);
  cluster.start(one);
  await cluster.ready(one);
  const two = await cluster.add("n2");
  cluster.start(two);
  const three = await cluster.add("n3");
  cluster.start(three);
  await cluster.whole();
  const follower = (await cluster.followers())[0]!;
  await cluster.stop(follower);
  await cluster.move(follower);
  cluster.start(follower);
  await cluster.whole();
  await until(
    "all nodes know its new address",
    async () => {
      const lists = await Promise.all(cluster.nodes.map((node) => cluster.servers(node)));
      return lists.every((servers) => servers.some(({ rpcAddr }) => rpcAddr === follower.addr));
    },
    processWait,
  );
  assert.equal(await post(follower, "a"), 0);
});
