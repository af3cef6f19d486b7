import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { faultOf, recordsOf } from "../../src/client/mod.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { freePort } from "../support/process/free-port.ts";
import { tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const append = async (cluster: TestCluster, node: ClusterNode, value: string): Promise<number> => {
  using client = cluster.connect(node);
  return Number((await client.rpc.log.produce({ record: { value: Buffer.from(value) } })).offset);
};
/** Appends a record; repeats while leadership changes. */
const appendSoon = async (cluster: TestCluster, node: ClusterNode, value: string): Promise<void> => {
  await until(`${value} is appended`, () => append(cluster, node, value).then(() => true), processWait);
};
const valuesOn = async (cluster: TestCluster, node: ClusterNode): Promise<string> => {
  const { out } = await tailrace([
    "consume",
    "--from",
    "start",
    "--format",
    "raw",
    ...cluster.clientFlags(node),
  ]);
  return out.trim().split("\n").join(" ");
};

/** Reads the node's records from the start until the stream ends; resolves to the values and the fault. */
async function streamed(cluster: TestCluster, node: ClusterNode) {
  using client = cluster.connect(node);
  const values: string[] = [];
  try {
    for await (const { record } of client.rpc.log.consumeStream({}))
      if (record !== undefined) values.push(Buffer.from(record.value).toString());
  } catch (reason) {
    const { kind, message } = faultOf(reason, "read");
    return { values, kind, message };
  }
  return { values, kind: undefined, message: "" };
}

test("a node that is removed ends its open tails and new ones, so that clients go to another node", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const leader = await cluster.leader();
  await append(cluster, leader, "a");
  const [removed] = (await cluster.followers()) as [ClusterNode, ClusterNode];
  const open = streamed(cluster, removed);
  const lines = fetch(`http://${removed.addr}/tail?from=start&format=text`, {
    headers: { accept: "application/x-ndjson" },
  }).then((response) => response.text());
  using client = cluster.connect();
  using tail = client.commitLog.follow(0);
  const values: string[] = [];
  const reading = (async () => {
    while (values.length < 2) {
      const from = tail.position;
      const slice = tail.take();
      if (slice === undefined) await tail.ready();
      else for (const { value } of recordsOf(slice, from)) values.push(Buffer.from(value).toString());
    }
  })();
  await until("the tail has the first record", () => values.length === 1, processWait);
  const { status, err } = await tailrace(["remove", removed.name, ...cluster.clientFlags(leader)]);
  assert.equal(status, 0, err);
  for (const stream of [await open, await streamed(cluster, removed)]) {
    assert.deepEqual([stream.values, stream.kind], [["a"], "unavailable"]);
    assert.match(stream.message, /was removed from its cluster, its members are at/);
  }
  assert.match(
    await lines,
    /\n\{"error":\{"code":"unavailable","message":"[^"]*was removed from its cluster/,
  );
  await appendSoon(cluster, leader, "b");
  await reading;
  assert.deepEqual(values, ["a", "b"]);
});

test("a node that was offline when it was removed learns of it, and a request forwarded by a follower fails with the leader's reason", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const [, follower] = (await cluster.followers()) as [ClusterNode, ClusterNode];
  const leader = await cluster.leader();
  const unused = `127.0.0.1:${await freePort()}`;
  for (const node of [leader, follower]) {
    const { status, err } = await tailrace(["add", unused, ...cluster.clientFlags(node)]);
    assert.equal(status, 1);
    assert.match(err, new RegExp(`${unused} is unreachable`));
  }

  const [away] = (await cluster.followers()) as [ClusterNode, ClusterNode];
  await cluster.stop(away);
  const removed = await tailrace(["remove", away.name, ...cluster.clientFlags(leader)]);
  assert.equal(removed.status, 0, removed.err);
  cluster.start(away);
  await until(
    `${away.name} says why it is not ready`,
    async () => (await cluster.unready(away))?.includes("was removed from its cluster"),
    processWait,
  );
  const refused = await tailrace(["produce", ...cluster.clientFlags(away)], { input: "x\n" });
  assert.notEqual(refused.status, 0);
  assert.match(refused.err, /was removed from its cluster, its members are at [^\n]*127\.0\.0\.1/);
  assert.match(refused.err, new RegExp(leader.addr));
  const added = await tailrace(["add", away.addr, ...cluster.clientFlags(leader)]);
  assert.equal(added.status, 0, added.err);
  await cluster.whole();
});

test("a member of a cluster of two that moves is found again, although there is no leader without it", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { nodes: 2 });
  const [one, two] = cluster.nodes as [ClusterNode, ClusterNode];
  await cluster.stop(two);
  await cluster.move(two);
  cluster.start(two);
  await cluster.whole();
  await appendSoon(cluster, one, "a");
  assert.equal(await valuesOn(cluster, two), "a");
});

test("a node that joins becomes a learner, then a voter; only an operator removes it and adds it again", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { nodes: 2, begin: "join" });
  const [one, two] = cluster.nodes as [ClusterNode, ClusterNode];
  assert.equal(await append(cluster, two, "a"), 0);
  const three = await cluster.add("n3");
  cluster.start(three);
  await cluster.whole();
  assert.equal(await valuesOn(cluster, three), "a");

  const flags = cluster.clientFlags(one);
  const moved = await tailrace(["transfer", "n3", ...flags]);
  assert.deepEqual([moved.status, moved.out], [0, '{"leader":"n3"}\n'], moved.err);
  const removed = await tailrace(["remove", "n3", ...flags]);
  assert.equal(removed.status, 0, removed.err);
  await until(
    "n3 says why it is not ready",
    async () => (await cluster.unready(three))?.includes("was removed from its cluster"),
    processWait,
  );
  // It still runs and gossip knows it, but that does not add it again.
  await appendSoon(cluster, one, "b");
  const status = await tailrace(["status", ...flags]);
  assert.deepEqual(JSON.parse(status.out)["voters"], ["n1", "n2"]);
  const unready = await tailrace(["status", ...cluster.clientFlags(three)]);
  assert.equal(unready.status, 1);

  const added = await tailrace(["add", three.addr, "--id", "n3", ...flags]);
  assert.equal(added.status, 0, added.err);
  await cluster.whole();
  assert.equal(await valuesOn(cluster, three), "a b");
  const servers = await tailrace(["servers", "--json", ...cluster.clientFlags(three)]);
  assert.equal(servers.out.trim().split("\n").length, 3);

  const refused = await tailrace(["remove", "n9", ...flags]);
  assert.match(refused.err, /n9 is not a member of this cluster/);
  // With one of three voters down, another cannot be removed.
  await cluster.stop(three, "SIGKILL");
  await pause(1_500);
  await cluster.leader();
  const unsafe = await tailrace(["remove", "n2", ...flags]);
  assert.equal(unsafe.status, 1);
  assert.match(unsafe.err, /n2 cannot be removed now[^\n]*too few answer/);
  const gone = await tailrace(["remove", "n3", ...flags]);
  assert.equal(gone.status, 0, gone.err);
  const left = await tailrace(["leave", ...cluster.clientFlags(two)]);
  assert.deepEqual([left.status, left.out], [0, '{"left":"n2"}\n'], left.err);
  await until(
    "n1 is the only voter",
    async () => (await cluster.status(one)).voters.join() === "n1",
    processWait,
  );
  await appendSoon(cluster, one, "c");
  assert.equal(await valuesOn(cluster, one), "a b c");
  const last = await tailrace(["remove", "n1", ...flags]);
  assert.match(last.err, /only voter/);
});
