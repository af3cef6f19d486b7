import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";
import { until } from "../../support/until.ts";

test("a failed sync of the index without appends fails the log, not the process", async () => {
  await using cluster = await MemoryCluster.open(1);
  const { replica, disk } = await cluster.leader();
  await replica!.log.append(run("a"));
  disk.faults.syncFails = 1;
  assert.equal((await replica!.failed).kind, "disk-failed");
  await assert.rejects(replica!.log.append(run("b")), { kind: "disk-failed", written: "no" });
});

test("records expire by age on the leader and on every follower, also without further appends", async () => {
  await using cluster = await MemoryCluster.open(3, { retentionAgeMs: 400 });
  const leader = await cluster.leader();
  const { log } = leader.replica!;
  for (const value of ["a", "b", "c"]) await log.append(run(value));
  for (const { replica } of cluster.nodes) {
    const { storedLog } = replica!;
    await until("the old records are trimmed", () => storedLog.bounds.lowest === 3);
    await until("their file is deleted", () => storedLog.segments[0]!.baseOffset === 3);
  }
  assert.equal((await log.append(run("d"))).firstOffset, 3);
});
