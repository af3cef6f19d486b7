/** A member whose directory is rolled back to an older copy, or started twice, is refused, and no record is lost. */
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { test } from "node:test";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

async function produce(cluster: TestCluster, node: ClusterNode, count: number): Promise<number> {
  using client = cluster.connect(node);
  let last = -1;
  for (let at = 0; at < count; at++) {
    last = Number((await client.rpc.log.produce({ record: { value: Buffer.from(`record ${at}`) } })).offset);
  }
  return last;
}

/** Appends a record; repeats while leadership changes. */
async function produceSoon(cluster: TestCluster, node: ClusterNode): Promise<void> {
  await until("a record is appended", () => produce(cluster, node, 1).then(() => true), processWait);
}

async function countOn(cluster: TestCluster, node: ClusterNode): Promise<number> {
  const words = ["consume", "--from", "start", "--format", "raw", ...cluster.clientFlags(node)];
  const { status, out, err } = await tailrace(words);
  assert.equal(status, 0, err);
  return out.trim().split("\n").length;
}

/** Waits until readyz says that the other members refuse the directory. The process must still run. */
async function isRefused(cluster: TestCluster, node: ClusterNode, why: RegExp): Promise<void> {
  await until(
    `${node.name} says that it is refused`,
    async () => why.test((await cluster.unready(node)) ?? ""),
    { ...processWait, explain: () => node.log.slice(-2_000) },
  );
  assert.notEqual(node.child, undefined);
  assert.match(node.log, /this node takes no part. the other members refuse its data directory/);
  assert.doesNotMatch(node.log, /AssertionFailed/);
}

function rollBack(node: ClusterNode): void {
  rmSync(node.directory, { recursive: true });
  cpSync(`${node.directory}-copy`, node.directory, { recursive: true });
}

const copy = ({ directory }: ClusterNode): void => {
  rmSync(`${directory}-copy`, { recursive: true, force: true });
  cpSync(directory, `${directory}-copy`, {
    recursive: true,
    filter: (path) => !path.endsWith("lock.socket"),
  });
};

test("a voter with a rolled-back directory is refused, also by a later leader, and both ways back work", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const [victim] = (await cluster.followers()) as [ClusterNode];
  for (const way of ["the same leader", "another leader"] as const) {
    const leader = await cluster.leader();
    await produce(cluster, leader, 20);
    await cluster.whole();
    copy(victim);
    await produce(cluster, leader, 5);
    await until(
      "it has acknowledged them",
      async () => {
        const server = (await cluster.servers(leader)).find(({ id }) => id === victim.name);
        return server?.lag === 0n;
      },
      processWait,
    );
    const logged = leader.log.length;
    await cluster.stop(victim, "SIGKILL");
    await until(
      "the leader misses it",
      () => leader.log.slice(logged).includes("link to a peer was lost"),
      processWait,
    );
    rollBack(victim);
    if (way === "another leader") {
      await cluster.stop(leader, "SIGKILL");
      cluster.start(leader);
    }
    await cluster.leader();
    cluster.start(victim);
    await isRefused(cluster, victim, /rolled back, acknowledged entries are gone.*(empty|repair)/);
    // The other members continue without it, and it refuses writes.
    const other = cluster.nodes.find((node) => node !== victim)!;
    await produceSoon(cluster, other);
    const refused = await tailrace(["produce", "--addr", victim.addr], { input: "x\n" });
    assert.notEqual(refused.status, 0);
    assert.match(refused.err, /takes no part in its cluster/);
    await cluster.stop(victim);
    // After a restart it still takes no part.
    cluster.start(victim);
    await isRefused(cluster, victim, /rolled back/);
    await cluster.stop(victim);
    if (way === "the same leader") cluster.wipe(victim);
    else {
      const plan = await tailrace(["repair", victim.directory]);
      assert.match(plan.out, /meta 0 new-identity/);
      const { status, err } = await tailrace(["repair", victim.directory, "--yes"]);
      assert.equal(status, 0, err);
    }
    cluster.start(victim);
    await cluster.whole();
  }
  const counts = await Promise.all(cluster.nodes.map((node) => countOn(cluster, node)));
  assert.deepEqual(
    counts,
    Array.from(counts, () => 52),
  );
});

test("a copy of a running member's directory is refused, and the member is not disturbed", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const leader = await cluster.leader();
  const [member] = (await cluster.followers()) as [ClusterNode];
  await produce(cluster, leader, 10);
  await cluster.whole();
  copy(member);
  const second = await cluster.add(member.name, `${member.directory}-copy`);
  cluster.nodes.splice(cluster.nodes.indexOf(second), 1);
  cluster.start(second);
  t.after(() => cluster.stop(second, "SIGKILL"));
  let taken = 0;
  let refusals = 0;
  const refused = isRefused(cluster, second, /directory is a copy/);
  let done = false;
  void refused.finally(() => {
    done = true;
  });
  while (!done || taken < 100) {
    await produce(cluster, member, 1).then(
      () => taken++,
      () => refusals++,
    );
  }
  await refused;
  assert.deepEqual([refusals, member.child === undefined], [0, false]);
  assert.doesNotMatch(leader.log, /"change":"moved"/);
  assert.equal(await cluster.unready(member), undefined);
  await cluster.stop(second);
  // The member itself can restart, also at another address.
  await cluster.stop(member, "SIGKILL");
  await cluster.move(member);
  cluster.start(member);
  await cluster.whole();
});

test("a member of a cluster of two that is rolled back or damaged gets the lost entries from the other after a repair", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { nodes: 2 });
  const leader = await cluster.leader();
  const [victim] = (await cluster.followers()) as [ClusterNode];
  await produce(cluster, leader, 20);
  await cluster.whole();
  copy(victim);
  await produce(cluster, leader, 5);
  await cluster.stop(victim, "SIGKILL");
  rollBack(victim);
  cluster.start(victim);
  await isRefused(cluster, victim, /rolled back/);
  await cluster.stop(victim, "SIGKILL");
  const { status, out, err } = await tailrace(["repair", victim.directory, "--yes"]);
  assert.deepEqual([status, /meta 0 keep-identity/.test(out)], [0, true], err);
  cluster.start(victim);
  await cluster.whole();
  assert.equal(await countOn(cluster, victim), 25);
  await produceSoon(cluster, victim);
  for (const node of cluster.nodes) assert.doesNotMatch(node.log, /AssertionFailed/);
});
