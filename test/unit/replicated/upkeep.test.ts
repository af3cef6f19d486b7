import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../support/logs.ts";
import { MemoryCluster } from "../../support/replicas.ts";

test("an index that cannot be synced while nothing is appended fails the log, not the process", async () => {
  await using cluster = await MemoryCluster.open(1);
  const { replica, disk } = await cluster.leader();
  await replica!.log.append(run("a"));
  disk.faults.syncFails = 1;
  assert.equal((await replica!.failed).kind, "disk-failed");
  await assert.rejects(replica!.log.append(run("b")), { kind: "disk-failed", written: "no" });
});
