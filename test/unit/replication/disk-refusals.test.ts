/** A node whose disk refuses writes: the faults of its appends, its reported state, and how it recovers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { heapMapper } from "../../../src/lib/disk/mapped-file.ts";
import { prng } from "../../../src/lib/prng.ts";
import { RefusingDisk } from "../../support/disk/refusing-disk.ts";
import { SimDisk } from "../../support/disk/sim-disk.ts";
import { allValues, run } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";
import { until } from "../../support/until.ts";

const settings = { segmentStoreBytesMax: 2000 };
const value = (n: number): string => `${n}`.padStart(100, "v");

async function alone(): Promise<{ cluster: MemoryCluster; disk: RefusingDisk }> {
  const disk = new RefusingDisk(new SimDisk(prng("alone").stream("disk")));
  const cluster = await MemoryCluster.open(1, settings, {
    disk,
    mapper: heapMapper(disk),
    frameCacheBytesMax: 0,
  });
  return { cluster, disk };
}

describe("a disk that refuses", () => {
  for (const code of ["EMFILE", "ENFILE", "ENOMEM", "EACCES", "EINTR"]) {
    test(`appends that fail with ${code} are refused as not written, and accepted again later`, async () => {
      const { cluster, disk } = await alone();
      await using _ = cluster;
      const { replica } = await cluster.leader();
      assert.ok(replica !== undefined);
      let refusals = 0;
      replica.onDiskRefusal(() => refusals++);
      disk.refuse = (asked) => (asked === "open" ? code : undefined);
      const written: string[] = [];
      const refused: Fault[] = [];
      for (let n = 0; n < 40; n++) {
        await replica.log.append(run(value(n))).then(
          () => written.push(value(n)),
          (reason: Fault) => refused.push(reason),
        );
      }
      assert.ok(written.length > 0 && refused.length > 0);
      for (const fault of refused) {
        assert.deepEqual([fault.kind, fault.written, fault.retry], ["disk-busy", "no", true]);
        assert.match(fault.message, new RegExp(code));
      }
      assert.equal(refusals, 1);
      assert.equal(replica.diskRefusal?.kind, "disk-busy");
      assert.equal(replica.storedLog.failure, undefined);
      disk.refuse = () => undefined;
      assert.equal(replica.diskRefusal, undefined);
      for (let n = 40; n < 80; n++) {
        await replica.log.append(run(value(n)));
        written.push(value(n));
      }
      assert.deepEqual(await allValues(replica.log), written);
    });
  }

  test("appends accepted before the refusal are written once the disk accepts writes", async () => {
    const { cluster, disk } = await alone();
    await using _ = cluster;
    const { replica } = await cluster.leader();
    assert.ok(replica !== undefined);
    // A refused rename is not detected by opening the next file ahead of time.
    disk.refuse = (asked) => (asked === "rename" ? "EACCES" : undefined);
    const appends = Array.from({ length: 30 }, (_, n) => replica.log.append(run(value(n))));
    const settled = Promise.allSettled(appends);
    await until("the log was refused", () => replica.diskRefusal !== undefined);
    assert.equal(replica.storedLog.failure, undefined);
    // An append in the meantime is refused and does not wait.
    await assert.rejects(replica.log.append(run("x")), { kind: "disk-busy", written: "no" });
    disk.refuse = () => undefined;
    const ends = await settled;
    const written = ends.flatMap(({ status }, n) => (status === "fulfilled" ? [value(n)] : []));
    assert.deepEqual(await allValues(replica.log), written);
    assert.equal(replica.diskRefusal, undefined);
  });

  test("the refusal of a full disk contains its figures", async () => {
    const sim = new SimDisk(prng("full").stream("disk"), { capacityBytes: 100_000 });
    await using cluster = await MemoryCluster.open(1, settings, {
      disk: sim,
      mapper: heapMapper(sim),
      reserveBytes: 20_000,
    });
    const { replica } = await cluster.leader();
    assert.ok(replica !== undefined);
    const faults: Fault[] = [];
    for (let n = 0; n < 1_000 && faults.length === 0; n++) {
      await replica.log.append(run(value(n))).catch((reason: Fault) => faults.push(reason));
    }
    const refused = await replica.log.append(run("x")).catch((reason: Fault) => reason);
    assert.ok(refused instanceof Fault);
    assert.deepEqual([refused.kind, refused.written], ["disk-full", "no"]);
    const { freeBytes, volumeBytes, reserveBytes } = refused.facts;
    assert.deepEqual([volumeBytes, reserveBytes], [100_000, 20_000]);
    assert.equal(typeof freeBytes, "number");
    assert.match(
      refused.message,
      /the disk is full, .* MiB of .* MiB are free and .* MiB are to be kept in reserve/,
    );
    assert.equal(replica.diskRefusal?.kind, "disk-full");
  });

  test("a full disk refuses new logs, and takes a trim, a change and a delete with the reserve", async () => {
    const sim = new SimDisk(prng("logs").stream("disk"), { capacityBytes: 100_000 });
    await using cluster = await MemoryCluster.open(1, settings, {
      disk: sim,
      mapper: heapMapper(sim),
      reserveBytes: 20_000,
    });
    const { replica } = await cluster.leader();
    assert.ok(replica !== undefined);
    const { named } = replica.log;
    const create = (name: string) => named.change({ kind: "create", name, settings: {} });
    for (const name of ["kept", "other"]) await create(name);
    while (replica.diskRefusal === undefined) {
      await replica.log.append(run(value(0)), { log: { name: "kept" } }).catch(() => undefined);
    }
    for (let n = 0; n < 50; n++) {
      await assert.rejects(create(`new${n}`), { kind: "disk-full", written: "no" });
    }
    assert.equal(named.count, 2);
    assert.equal((await create("kept")).created, false, "a log that is there needs no space");
    await named.open({ name: "kept" }).trim(1);
    const change = { kind: "update", log: { name: "kept" }, settings: { retentionBytes: 1_000 } } as const;
    assert.equal((await named.change(change)).log?.settings.retentionBytes, 1_000);
    await named.change({ kind: "delete", log: { name: "other" } });
    assert.equal(named.count, 1);
  });
});

test("with --sync interval, a configuration is durable in the log before it is stored as committed", async () => {
  await using cluster = await MemoryCluster.open(1, settings, { sync: { intervalMs: 3_600_000 } });
  const node = await cluster.leader();
  const { replica } = node;
  assert.ok(replica !== undefined);
  await replica.log.append(run("a"));
  await replica.node.proposeChange({
    transition: "auto",
    changes: [{ action: "learner", peer: 77 }],
    members: [{ peer: 77, name: "l", directory: "d", address: "l:1" }],
  });
  const { configurationIndex } = replica.state;
  assert.ok(configurationIndex > 0);
  assert.ok(replica.storedLog.syncedIndex >= configurationIndex);
  await replica.log.append(run("b"));
  node.disk.odds = { keep: 0, tear: 0 };
  await cluster.crash(node);
  const again = cluster.reopen(node);
  assert.ok(again.storedLog.end.index >= configurationIndex);
  assert.deepEqual(await allValues(again.log), ["a"]);
});
