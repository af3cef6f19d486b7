/** Whole replicas with more producers than a checkpoint holds: the leader packs its snapshot in turns. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";
import { until } from "../../support/until.ts";

test("a follower that lacks entries gets the producers of the start while appends go on, and knows their duplicates", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 900 }, { inlineProducersMax: 2 });
  const leader = await cluster.leader();
  const { log, storedLog } = leader.replica!;
  const append = (id: number, sequence: number) =>
    log.append(run(`value ${id} of ${sequence}`), {
      producer: { subject: "s", id: BigInt(id), epoch: 0, sequence },
    });
  const late = cluster.followers(leader)[0]!;
  await cluster.crash(late);
  for (let id = 0; id < 40; id++) await append(id, 0);
  await storedLog.rows.settled();
  await log.trim(30);
  await until("the log begins later", () => storedLog.before.nextOffset > 10);
  assert.ok(storedLog.rows.openStart().producers.inFile);
  const more = Array.from({ length: 40 }, (_, id) => append(id, 1));
  cluster.reopen(late).start();
  await Promise.all(more);
  const last = storedLog.commitIndex;
  await until("the follower has everything", () => late.replica!.storedLog.commitIndex >= last);
  assert.ok((cluster.sent.get("snapshot") ?? 0) > 0, "a snapshot was sent");
  assert.deepEqual(late.replica!.storedLog.state.producers.rows(), storedLog.state.producers.rows());
  assert.equal((await append(7, 1)).duplicate, true);
});
