/** How the client finds the nodes of its cluster. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ClusterResolver } from "../../../../src/client/calls/cluster-resolver.ts";
import { NodePicker } from "../../../../src/client/calls/node-picker.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";
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

test("while a node that has just started is asked, appends go on to the leader", async () => {
  const cluster = new FakeCluster("a:1", "b:1");
  await using client = cluster.client();
  const producer = client.producer();
  await producer.send("before");
  cluster.node("b:1").knowsNoLeader = true;
  await client.servers();
  for (const value of ["1", "2", "3"]) await producer.send(value);
  assert.equal(cluster.node("a:1").appends.length, 4);
});

test("an answer without a leader is old after a second, one with a leader after its time", async () => {
  const cluster = new FakeCluster("a:1", "b:1", "c:1");
  const time = new VirtualTime();
  const clock = time.clock();
  const picker = new NodePicker(["a:1"]);
  const resolver = new ClusterResolver({
    ...{ picker, clock, freshMs: 30_000, requestMs: 2_000, signal: new AbortController().signal },
    transportTo: (addr) => cluster.dial(addr).transport,
    isConnecting: () => false,
    onResponse: () => undefined,
  });
  const asked = (): number => cluster.nodes.flatMap(({ calls }) => calls).length;
  /** How often nodes were asked, after a call at that time. */
  const askedAt = async (ms: number): Promise<number> => {
    time.now = ms;
    await resolver.ensureKnown();
    for (let turns = 0; turns < 20; turns++) await turn();
    return asked();
  };
  for (const node of cluster.nodes) node.knowsNoLeader = true;
  assert.deepEqual([await askedAt(0), await askedAt(1_000), await askedAt(1_001)], [1, 1, 2]);
  for (const node of cluster.nodes) node.knowsNoLeader = false;
  assert.deepEqual([await askedAt(2_002), picker.leader], [3, "a:1"]);
  assert.deepEqual([await askedAt(32_002), await askedAt(32_003)], [3, 4]);
  picker.failed("a:1", 40_000);
  assert.deepEqual([await askedAt(33_003), await askedAt(33_004)], [4, 5]);
});
