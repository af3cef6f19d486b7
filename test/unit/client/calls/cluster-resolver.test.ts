/** How the client finds the nodes of its cluster. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeCluster } from "../fake-cluster.ts";

test("the resolver finds the servers and the leader", async () => {
  await using client = new FakeCluster("a:1", "b:1", "c:1").client({ seeds: ["b:1"] });
  assert.deepEqual(
    (await client.servers()).map(({ addr, isLeader, role }) => [addr, isLeader, role]),
    [
      ["a:1", true, "leader"],
      ["b:1", false, "follower"],
      ["c:1", false, "follower"],
    ],
  );
});

test("the resolver asks the next address when a seed is unreachable, and fails when all are", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  await using client = cluster.client({ seeds: ["a:1", "b:1"] });
  cluster.node("a:1").isDown = true;
  assert.equal((await client.servers()).length, 2);
  cluster.node("b:1").isDown = true;
  await assert.rejects(client.servers(), { kind: "unavailable", written: "no" });
});
