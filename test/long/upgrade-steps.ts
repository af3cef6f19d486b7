/** The steps of a rolling upgrade from an older release, for tests. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Fault } from "../../src/client/mod.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { until } from "../support/until.ts";
import type { OldRelease } from "./old-release.ts";

/** Starts three nodes of the older release. */
export async function openOldCluster(
  t: TestContext,
  release: OldRelease,
  directory: string,
): Promise<TestCluster> {
  const cluster = await TestCluster.make(t, directory, { flags: ["--segment-store-bytes-max", "100000"] });
  for (const node of cluster.nodes) {
    node.command = release.bin;
    cluster.start(node);
  }
  await cluster.whole();
  return cluster;
}

/** Starts the node with the sources here, or with another command. */
export async function restart(
  cluster: TestCluster,
  node: ClusterNode,
  command: string | undefined,
): Promise<void> {
  assert.equal(await cluster.stop(node), 0, `${node.name}: ${node.log.slice(-500)}`);
  node.command = command;
  cluster.start(node);
  await cluster.ready(node);
  await cluster.whole();
}

/** Gives the lead to this node, so that the release of the leader is known. */
export async function lead(cluster: TestCluster, node: ClusterNode): Promise<void> {
  await until(
    `${node.name} leads`,
    async () => {
      const leader = await cluster.leader();
      if (leader === node) return true;
      using client = cluster.connect(leader);
      await client.rpc.cluster.transferLeadership({ to: node.name }, { timeoutMs: 10_000 }).catch(() => {});
      return false;
    },
    processWait,
  );
}

/** The older nodes that a refused change names. */
export function olderIn({ kind, facts, message }: Fault): string[] {
  assert.deepEqual([kind, facts.reason], ["failed-precondition", "OLD_MEMBERS"], message);
  const named = String(facts["members"]).split(" ").sort();
  for (const name of named) assert.ok(message.includes(name), message);
  return named;
}
