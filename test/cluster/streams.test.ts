import assert from "node:assert/strict";
import { test } from "node:test";
import { processWait, TestCluster } from "../support/process/cluster.ts";
import { ended, startCommand } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { flawOf, LineStream, valuesOf } from "./streamed-lines.ts";

test("a fast stream through a follower is appended completely, and changes of the leader keep the order", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const leader = await cluster.leader();
  const [follower] = await cluster.followers();

  await t.test("a client that is faster than the cluster is made to wait, not refused", async () => {
    const lines = Array.from({ length: 60_000 }, (_, line) => `seq ${line}\n`).join("");
    const { status, out, err } = await ended(
      startCommand(["produce", ...cluster.clientFlags(follower!)]),
      lines,
    );
    assert.equal(status, 0, err);
    assert.equal(out.trim().split("\n").length, 60_000);
  });

  await t.test("leadership is handed over again and again: every line is written, in order", async () => {
    const stream = new LineStream(cluster, follower!, "handed", 2_000);
    const others = cluster.nodes.filter((node) => node !== follower);
    for (let round = 0; round < 4; round++) {
      const before = stream.acknowledged;
      await until("300 more lines are acknowledged", () => stream.acknowledged > before + 300, processWait);
      const to = others[(round + others.indexOf(leader) + 1) % 2]!;
      const { status, err } = await ended(
        startCommand(["transfer", to.name, ...cluster.clientFlags(follower!)]),
      );
      assert.equal(status, 0, err);
    }
    stream.stop();
    const end = await stream.ended();
    assert.equal(end.status, 0, end.err);
    assert.equal(end.offsets.length, end.sent);
    assert.equal(flawOf(await valuesOf(cluster, follower!), "handed", end), undefined);
  });

  await t.test(
    "the leader is stopped: a client at a healthy follower writes on as soon as another leads",
    async () => {
      const stopped = await cluster.leader();
      using client = cluster.connect(follower!);
      await client.rpc.log.produce({ record: { value: Buffer.from("before") } });
      cluster.pauseNode(stopped);
      const value = Buffer.from("under way");
      // The node forwards the record to the next leader: it is appended once, and the client gets its offset.
      const { offset } = await client.rpc.log.produce(
        { record: { value }, producer: { id: 77n } },
        { timeoutMs: 60_000 },
      );
      cluster.resumeNode(stopped);
      await cluster.whole();
      const values = await valuesOf(cluster, follower!);
      assert.deepEqual(
        values.flatMap((one, at) => (one === "under way" ? [at] : [])),
        [Number(offset)],
      );
    },
  );
});
