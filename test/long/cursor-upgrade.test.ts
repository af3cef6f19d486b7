/**
 * A rolling upgrade from a release with named logs and without cursors. No cursor is committed while a node has the old release:
 * that would be a command that it cannot read. The old release is unpacked from the history.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Fault, faultOf } from "../../src/client/mod.ts";
import { type ClusterNode, processWait, type TestCluster } from "../support/process/cluster.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { beforeCursors, oldRelease } from "./old-release.ts";
import { lead, olderIn, openOldCluster, restart } from "./upgrade-steps.ts";

/** Commits a cursor at a node. Returns its version. */
async function commit(
  cluster: TestCluster,
  node: ClusterNode,
  log: string,
  offset: number,
  expected?: bigint,
): Promise<bigint> {
  await using client = cluster.connect(node);
  const { cursor } = await client.rpc.cursors.commit({
    ...{ log, name: "billing", offset: BigInt(offset) },
    ...(expected === undefined ? {} : { expectedVersion: expected }),
  });
  return cursor!.version;
}

const refused = (cluster: TestCluster, node: ClusterNode, log: string): Promise<Fault> =>
  commit(cluster, node, log, 0).then(
    () => assert.fail("a cursor was committed while a node has an older release"),
    (reason: unknown) => faultOf(reason),
  );

test("cursors are refused until the last node is upgraded, with the older nodes, and then work", {
  timeout: 900_000,
}, async (t) => {
  const directory = scratch(t);
  const release = oldRelease(join(directory, "old"), beforeCursors);
  if (typeof release === "string") {
    console.error(`THE UPGRADE TO CURSORS IS NOT TESTED: ${release}`);
    t.skip(release);
    return;
  }
  const cluster = await openOldCluster(t, release, directory);
  const [one, two, three] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  {
    await using client = cluster.connect();
    await client.logs.create("orders");
    await client.log("orders").producer().send("a record");
  }
  await restart(cluster, one, undefined);
  for (const leader of [three, one]) {
    await lead(cluster, leader);
    for (const log of ["default", "orders"]) {
      const fault = await refused(cluster, one, log);
      assert.equal(fault.written, "no");
      assert.deepEqual(olderIn(fault), ["n2", "n3"]);
    }
  }
  await restart(cluster, two, undefined);
  await lead(cluster, two);
  for (const node of [one, two]) assert.deepEqual(olderIn(await refused(cluster, node, "orders")), ["n3"]);
  // The old release still opens its directory, and takes part.
  await restart(cluster, three, release.bin);
  await lead(cluster, three);
  await restart(cluster, three, undefined);
  let version = 0n;
  await until(
    "all members have said that they have cursors",
    () =>
      commit(cluster, one, "orders", 0, 0n).then(
        (made) => {
          version = made;
          return true;
        },
        (reason: unknown) => assert.equal(faultOf(reason).facts.reason, "OLD_MEMBERS") ?? false,
      ),
    processWait,
  );
  for (const node of cluster.nodes) version = await commit(cluster, node, "orders", 1, version);
  const stale = await commit(cluster, one, "orders", 1, version - 1n).catch(faultOf);
  assert.ok(stale instanceof Fault && stale.facts.reason === "CURSOR_VERSION_MISMATCH");
  for (const node of cluster.nodes) {
    await using client = cluster.connect(node);
    assert.equal((await client.rpc.cursors.get({ log: "orders", name: "billing" })).cursor?.version, version);
  }
});
