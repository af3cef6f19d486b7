import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
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

test("a failed sync while the files of removed segments are deleted fails the log, also without further appends", async () => {
  await using cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 2000 });
  const { replica, disk } = await cluster.leader();
  const sync = disk.syncDirectory.bind(disk);
  let removed = false;
  const remove = disk.remove.bind(disk);
  disk.remove = (path) => {
    removed ||= path.endsWith(".store");
    remove(path);
  };
  disk.syncDirectory = (directory) => {
    if (removed) throw Object.assign(new Error("EIO"), { code: "EIO", syscall: "fsync" });
    sync(directory);
  };
  for (let n = 0; n < 60; n++) await replica!.log.append(run(`${n}`.padStart(100, "v")));
  await replica!.log.trim(50);
  assert.equal((await replica!.failed).kind, "disk-failed");
  assert.equal(removed, true);
  await assert.rejects(replica!.log.append(run("b")), { kind: "disk-failed", written: "no" });
});

test("files that could not be removed are removed later, also without further appends", async () => {
  await using cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 2000 });
  const { replica, disk } = await cluster.leader();
  const remove = disk.remove.bind(disk);
  let refusals = 0;
  disk.remove = (path) => {
    if (refusals++ < 3) throw Object.assign(new Error("EACCES"), { code: "EACCES" });
    remove(path);
  };
  for (let n = 0; n < 60; n++) await replica!.log.append(run(`${n}`.padStart(100, "v")));
  await replica!.log.trim(50);
  const { storedLog } = replica!;
  await until("the segments are removed", () => storedLog.segments[0]!.baseOffset > 0);
  await until("their files are deleted", () => !storedLog.compactsLater);
  assert.ok(refusals > 3);
  assert.equal(storedLog.failure, undefined);
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

test("runs again a second later if the disk refused the work, also without further appends", () => {
  const clock = new StillClock();
  let runs = 0;
  const log = {
    closed: false,
    failure: undefined,
    compactsLater: false,
    retained: { sealed: [], active: undefined, activeCommitted: true, lowest: 5 },
    sealed: [],
    state: { settings: { retentionAgeMs: 0, retentionBytes: 0 } },
    syncIndex: () => undefined,
    compact: () => {
      if (++runs < 3) throw new Fault("disk-busy");
      return 0;
    },
  };
  const maintenance = new Maintenance({
    log: log as unknown as MaintenanceOptions["log"],
    clock,
    time: { expiryMs: () => undefined },
    leads: () => false,
    trim: () => assert.fail(),
    keepAfter: () => 5,
    failed: () => assert.fail(),
  });
  maintenance.schedule();
  for (let second = 0; second < 5; second++) clock.advance(1_000);
  assert.equal(runs, 3);
});

test("runs again each second only while a segment is kept for a follower", () => {
  const clock = new StillClock();
  const retained = { sealed: [], active: undefined, activeCommitted: true, lowest: 5 };
  const log = {
    closed: false,
    failure: undefined,
    compactsLater: true,
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
  log.compactsLater = false;
  clock.advance(1_000);
  assert.deepEqual([log.runs, clock.timers], [4, 0]);
});
