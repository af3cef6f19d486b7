import assert from "node:assert/strict";
import { test } from "node:test";
import { processWait, TestCluster } from "../support/process/cluster.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("utf8");

test("TestAgent: with three agents over mutual TLS, a record appended to one is read from all, before and after a change of leader", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { tls: true });
  const leader = await cluster.leader();
  using first = cluster.connect(leader);
  const { offset } = await first.rpc.log.produce({ record: { value: Buffer.from("foo") } });
  assert.equal(offset, 0n);
  for (const node of cluster.nodes) {
    using client = cluster.connect(node);
    const { record } = await client.rpc.log.consume({ offset });
    assert.equal(text(record?.value), "foo");
    assert.equal(record?.offset, offset);
    await assert.rejects(client.rpc.log.consume({ offset: 1n }), /out_of_range/);
  }

  assert.equal(await cluster.stop(leader), 0);
  const next = await cluster.leader();
  assert.notEqual(next.name, leader.name);
  const [follower] = await cluster.followers();
  using other = cluster.connect(follower);
  assert.equal((await other.rpc.log.produce({ record: { value: Buffer.from("bar") } })).offset, 1n);
  cluster.start(leader);
  await cluster.whole();
  using back = cluster.connect(leader);
  await until(
    "the restarted node has the record",
    async () => {
      return text((await back.rpc.log.consume({ offset: 1n })).record?.value) === "bar";
    },
    processWait,
  );
});
