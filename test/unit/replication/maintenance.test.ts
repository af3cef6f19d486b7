import assert from "node:assert/strict";
import { test } from "node:test";
import { Maintenance, type MaintenanceOptions } from "../../../src/replication/maintenance.ts";
import { run, StillClock } from "../../support/log/logs.ts";
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

test("runs again each second only while a segment is kept for a follower", () => {
  const clock = new StillClock();
  const retained = { sealed: [], active: undefined, activeCommitted: true, lowest: 5 };
  const log = {
    closed: false,
    failure: undefined,
    keepsForFollowers: true,
    retained,
    // Its records of `default` are trimmed: a named log holds it.
    sealed: [{ nextOffset: 5 }],
    state: { settings: { retentionAgeMs: 0, retentionBytes: 0 } },
    runs: 0,
    compact: () => ++log.runs,
    syncIndex: () => undefined,
  };
  const maintenance = new Maintenance({
    log: log as unknown as MaintenanceOptions["log"],
    clock,
    time: { expiryMs: () => undefined },
    leads: () => true,
    trim: () => assert.fail(),
    keepAfter: () => 0,
    failed: () => assert.fail(),
  });
  maintenance.schedule();
  for (let second = 1; second <= 3; second++) clock.advance(1_000);
  assert.deepEqual([log.runs, clock.timers], [3, 1]);
  log.keepsForFollowers = false;
  clock.advance(1_000);
  assert.deepEqual([log.runs, clock.timers], [4, 0]);
});
