import assert from "node:assert/strict";
import { test } from "node:test";
import { type Membership, openMembership } from "../../src/membership/mod.ts";
import { type ClusterNode, eventually, pause, TestCluster, type TestContext } from "../support/cluster.ts";
import { curl } from "../support/curl.ts";
import { localTiming } from "../support/local-timing.ts";
import { tailrace } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";

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

/** Somebody in gossip who is none of ours, as an operator's agent is. */
async function observer(t: TestContext, name: string, seeds: readonly string[]): Promise<Membership> {
  const membership = await openMembership({ name, host: "127.0.0.1", port: 0, timing: localTiming });
  t.after(() => membership[Symbol.asyncDispose]());
  await membership.join(seeds);
  return membership;
}

/** Appends one record after another to whoever takes it, until it is told to stop; answers what was acknowledged. */
function writer(nodes: readonly ClusterNode[]): { stop(): Promise<Map<number, string>> } {
  const acked = new Map<number, string>();
  let going = true;
  const work = (async () => {
    for (let n = 0; going; n++) {
      const value = `v${n}`;
      const node = nodes[n % nodes.length]!;
      const offset = await post(node, value).catch(() => undefined);
      if (offset !== undefined) acked.set(offset, value);
      await pause(10);
    }
  })();
  return {
    async stop() {
      going = false;
      await work;
      return acked;
    },
  };
}

test("curl that posts to a follower and reads the same follower at once never gets a 404", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  for (const follower of await cluster.followers()) {
    for (let n = 0; n < 40; n++) {
      const offset = await post(follower, `${follower.name} ${n}`);
      const { status, text } = await get(follower, offset);
      assert.equal(status, 200, text);
    }
  }
});

test("a rolling restart by SIGTERM keeps quorum, voters and every acknowledged record", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
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
});

test("a wiped first node does not begin anew: it comes back as a learner, and is a voter again", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const [one, two] = cluster.nodes as Three;
  for (let n = 0; n < 20; n++) await post(two, `${n}`);
  await cluster.stop(one, "SIGKILL");
  cluster.wipe(one);
  cluster.start(one);
  await cluster.whole();
  const leader = await cluster.leader();
  assert.match(leader.log, /"member":"n1","change":"replaced"/);
  assert.match(leader.log, /"member":"n1","change":"promoted"/);
  assert.equal(await valueAt(one, 19), "19");
  assert.equal(await post(one, "more"), 20);
});

test("a voter that gossip is told to forget stays a voter", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const [one, , three] = cluster.nodes as Three;
  const agent = await observer(t, "operator", [one.addr]);
  await cluster.stop(three, "SIGKILL");
  const stateOf = (name: string) => agent.members().find((member) => member.name === name)?.status;
  await eventually("gossip knows that it failed", () => stateOf("n3") === "failed");
  agent.forceLeave("n3", { prune: true });
  await eventually("gossip forgets it", () => stateOf("n3") !== "failed");
  await pause(1_000);
  const { voters } = await cluster.status(await cluster.leader());
  assert.deepEqual([...voters].sort(), ["n1", "n2", "n3"]);
  await post(one, "still two of three");
  cluster.start(three);
  await cluster.whole();
});

test("two clusters that somebody in both brings together stay two", async (t) => {
  const [left, right] = await Promise.all([
    TestCluster.open(t, scratch(t), { nodes: 1, prefix: "left" }),
    TestCluster.open(t, scratch(t), { nodes: 1, prefix: "right" }),
  ]);
  const [a, b] = [left.nodes[0]!, right.nodes[0]!];
  const agent = await observer(t, "bridge", [a.addr]);
  await agent.join([b.addr]);
  await eventually("each has heard of the other", () =>
    [a, b].every(({ log }) => /another cluster/.test(log)),
  );
  await pause(1_000);
  assert.deepEqual((await left.status(a)).voters, ["left1"]);
  assert.deepEqual((await right.status(b)).voters, ["right1"]);
  assert.equal(await post(a, "left"), 0);
  assert.equal(await post(b, "right"), 0);
});

test("a node that waits to be added says why it is not ready, and that nothing was written", async (t) => {
  const cluster = await TestCluster.make(t, scratch(t), { nodes: 2, begin: "join" });
  const [first, second] = cluster.nodes as [ClusterNode, ClusterNode];
  cluster.start(second);
  await eventually("it says why", async () => (await cluster.unready(second))?.includes("waits to be added"));
  assert.deepEqual((await cluster.status(second)).role, "learner");
  const body = `{"record":{"value":"YQ=="}}`;
  const refused = await curl(second.url, { method: "POST", body });
  assert.deepEqual([refused.status, refused.json["written"]], [503, "no"]);
  cluster.start(first);
  await cluster.whole();
  assert.equal(await post(second, "a"), 0);
});

test("nodes that come back at other addresses, one after another, are found there", async (t) => {
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
  await eventually("all know where it is", async () => {
    const said = await Promise.all(cluster.nodes.map((node) => cluster.servers(node)));
    return said.every((servers) => servers.some(({ rpcAddr }) => rpcAddr === follower.addr));
  });
  assert.equal(await post(follower, "a"), 0);
});
