/**
 * Backups of a simulated cluster: nodes write them into one bucket while everything else goes on, operators restore the newest
 * one and compare it with what was committed, and servers that were restored join.
 *
 *   at random times     a backup, mostly by the leader, sometimes by several nodes    a restore        the bucket is down
 *   at the end          a backup completes; every backup in the bucket is restored; there is no other object
 */

import type { BackupContents } from "../../../src/backup/mod.ts";
import { chooseBackup, writeBackup } from "../../../src/backup/mod.ts";
import { Fault } from "../../../src/fault.ts";
import { DiskUncertain, errorCode } from "../../../src/lib/disk/disk.ts";
import { heapMapper } from "../../../src/lib/disk/mapped-file.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { SegmentedLog } from "../../../src/log/mod.ts";
import {
  type BackupPart,
  type BackupSnapshot,
  backupFiles,
  type ChainPoint,
  restoreFrames,
  StableState,
} from "../../../src/replication/mod.ts";
import { isDead } from "../../support/time/process-clock.ts";
import type { VirtualClock } from "../../support/time/virtual-clock.ts";
import { Violation } from "../checks/violation.ts";
import { directoryId } from "../cluster/sim-members.ts";
import type { ClusterContext, SimServer } from "../cluster/sim-server.ts";
import { dataDirectory, type Machine, newMachine } from "../replicas/real-replica.ts";
import type { SimReplica } from "../replicas/sim-replica.ts";
import { namedValuesIn, valuesIn } from "../replicas/stored-values.ts";
import { BucketClient } from "./bucket-client.ts";
import { SimBucket } from "./sim-bucket.ts";

const times = { renewMs: 100, validMs: 300, staleMs: 750 };
/** What a backup may fail with while there are faults. */
const expectedFaults = ["locked", "unavailable", "failed-precondition", "disk-failed", "disk-busy", "closed"];
const finalAttempts = 20;
/** Longer than any request is under way. */
const quietMs = 2_000;

export class SimBackups {
  readonly bucket: SimBucket;
  readonly #cluster: ClusterContext;
  readonly #keep: number;
  readonly #caches = new WeakMap<SimReplica, Map<string, BackupContents>>();
  readonly #writing = new WeakSet<SimReplica>();
  #writers = 0;

  constructor(cluster: ClusterContext, random: Prng) {
    this.#cluster = cluster;
    this.bucket = new SimBucket(cluster.time, cluster.trace, random.stream("requests"));
    this.#keep = random.between(1, 3);
  }

  /** The leader makes a backup, or any node, or two at the same time. */
  writeSome(random: Prng): void {
    const leader = this.#cluster.leader();
    const server = leader !== undefined && random.chance(0.7) ? leader : this.#cluster.pickRunning(random);
    if (server !== undefined) this.#write(server, random.chance(0.1));
    if (random.chance(0.2)) {
      const other = this.#cluster.pickRunning(random);
      if (other !== undefined) this.#write(other, false);
    }
  }

  /** The bucket is cut off from a server that writes a backup, or from any. */
  cutSome(random: Prng): void {
    const running = this.#cluster.running();
    const writers = running.filter(({ replica }) => this.#writing.has(replica));
    const among = writers.length > 0 ? writers : running;
    if (among.length > 0) this.bucket.cutFor(random.pick(among).peer, random.between(200, 1600));
  }

  /** Restores the newest backup beside the cluster, and compares it. */
  restoreOne(): void {
    void this.#restore(undefined).catch((reason: unknown) =>
      this.#cluster.guard(() => {
        throw reason;
      }),
    );
  }

  /** After all faults: a backup completes, each one can be restored, and nothing else is left. */
  async finish(): Promise<void> {
    const cluster = this.#cluster;
    this.bucket.isHealthy = true;
    await cluster.run(cluster.time.now + quietMs);
    let isDone = false;
    for (let attempt = 0; attempt < finalAttempts && !isDone; attempt++) {
      const leader = cluster.leader();
      let isOver = false;
      if (leader !== undefined)
        this.#write(leader, true, (isWritten) => {
          isDone ||= isWritten;
          isOver = true;
        });
      await cluster.run(cluster.time.now + quietMs, () => isOver);
    }
    if (!isDone) throw new Violation("no-backup", "no backup completes after all faults");
    // Others may still be at work.
    await cluster.run(cluster.time.now + quietMs);
    const { objects, snapshots, uploads } = this.bucket;
    for (const key of snapshots.keys()) {
      let isRestored = false;
      const restored = this.#restore(key.slice("backups/".length)).then(() => {
        isRestored = true;
      });
      restored.catch((reason: unknown) =>
        cluster.guard(() => {
          throw reason;
        }),
      );
      if (!(await cluster.run(cluster.time.now + 60_000, () => isRestored)))
        throw new Violation("restore-failed", `${key} is not restored in time`);
    }
    const expected = new Set(["lock", ...snapshots.keys()]);
    for (const snapshot of snapshots.values())
      for (const { file } of backupFiles(snapshot)) expected.add(`files/${file}`);
    const orphans = [...objects.keys()].filter((key) => !expected.has(key));
    if (orphans.length > 0 || uploads.size > 0)
      throw new Violation("orphan-objects", [...orphans, ...uploads.values()].join(", "));
    if (snapshots.size > this.#keep)
      throw new Violation("too-many-backups", [...snapshots.keys()].join(", "));
  }

  #write(server: SimServer, evenIfBusy: boolean, done: (isWritten: boolean) => void = () => undefined): void {
    const cluster = this.#cluster;
    const { clock, replica } = server;
    const { backup } = replica;
    if (backup === undefined || (this.#writing.has(replica) && !evenIfBusy)) {
      done(false);
      return;
    }
    const cache = this.#caches.get(replica) ?? new Map<string, BackupContents>();
    this.#caches.set(replica, cache);
    this.#writing.add(replica);
    const id = `writer ${++this.#writers} on ${server.peer}`;
    const store = new BucketClient(cluster, this.bucket, clock, id, server.peer);
    const begun = replica.appliedIndex;
    async function* parts(
      have: readonly string[],
      after: ChainPoint | undefined,
    ): AsyncGenerator<BackupPart> {
      for (const part of backup!.call(replica, have, after)) {
        if (part === undefined) await new Promise<void>((resolve) => clock.soon(resolve));
        else yield part;
      }
    }
    cluster.trace.note(() => `${id} begins a backup`);
    const onPruneFailed = (reason: Fault): void => cluster.guard(() => this.#failed(server, clock, reason));
    const options = { store, parts, keep: this.#keep, id, holder: id, clock, times, cache, onPruneFailed };
    writeBackup(options).then(
      ({ index, name, isNew }) =>
        cluster.guard(() => {
          this.#writing.delete(replica);
          cluster.trace.note(() => `${id} has completed ${name}`);
          cluster.trace.mark(isNew ? "backup-completed" : "backup-unchanged");
          if (index < begun)
            throw new Violation("backup-behind", `${name} ends at ${index}, the node had applied ${begun}`);
          done(true);
        }),
      (reason: unknown) =>
        cluster.guard(() => {
          this.#writing.delete(replica);
          this.#failed(server, clock, reason);
          done(false);
        }),
    );
  }

  #failed(server: SimServer, clock: VirtualClock, reason: unknown): void {
    if (server.clock !== clock || errorCode(reason) !== "" || reason instanceof DiskUncertain) return;
    if (isDead(reason)) {
      this.#cluster.runInProcess(server, () => {
        throw reason;
      });
      return;
    }
    const kind = reason instanceof Fault ? reason.kind : "";
    this.#cluster.trace.note(() => `a backup failed: ${String(reason)}`);
    this.#cluster.trace.mark(`backup-${kind}`);
    if (!expectedFaults.includes(kind)) throw reason;
  }

  /** Restores a backup, or the newest, and compares it with what was committed. */
  async #restore(name: string | undefined): Promise<void> {
    const { time } = this.#cluster;
    const clock = time.clock();
    const machine = newMachine(
      0,
      clock,
      this.#cluster.random.stream(`restore/${time.now}`),
      { syncMs: () => 0, full: () => false, failNext: false },
      undefined as never,
      this.#cluster.swarm,
    );
    const restored = await this.fill(machine, clock, name);
    if (restored === undefined) return;
    await using opened = restored;
    this.#compare(opened.name, opened.snapshot, opened.log);
    this.#cluster.trace.mark("backup-restored");
  }

  /** Fills an empty machine from a backup. Undefined if there is none, or if the bucket or the backup went meanwhile. */
  async fill(machine: Machine, clock: VirtualClock, name: string | undefined) {
    const store = new BucketClient(this.#cluster, this.bucket, clock, "restore");
    let chosen: string | undefined;
    try {
      const { name: found, snapshot } = await chooseBackup(store, name, clock);
      chosen = found;
      const log = await restored(machine, store, snapshot, clock);
      const close = async (): Promise<void> => {
        log.close();
        await log.rows.settled();
      };
      return { name: found, snapshot, log, [Symbol.asyncDispose]: close };
    } catch (reason) {
      const kind = reason instanceof Fault ? reason.kind : "";
      const isGone = chosen !== undefined && !this.bucket.snapshots.has(`backups/${chosen}`);
      if (kind === "unavailable" || (kind === "not-found" && name === undefined) || isGone) return undefined;
      throw new Violation("restore-failed", `${chosen}: ${reason instanceof Error ? reason.stack : reason}`);
    }
  }

  #compare(name: string, snapshot: BackupSnapshot, log: SegmentedLog): void {
    const { checker, named } = this.#cluster;
    if (log.end.index !== snapshot.index || log.commitIndex !== snapshot.index)
      throw new Violation("restored-differs", `${name} ends at ${log.end.index}, not ${snapshot.index}`);
    const applied = checker.applied.get(snapshot.index);
    const digest = `${log.end.term}:${log.end.crc}`;
    if (applied !== undefined && applied.digest !== digest)
      throw new Violation(
        "restored-differs",
        `${name}: ${digest} at ${snapshot.index}, not ${applied.digest}`,
      );
    const { lowest } = log.bounds;
    for (const [place, value] of valuesIn(log).entries()) {
      const known = checker.committed.get(lowest + place)?.value;
      if (known !== value)
        throw new Violation("restored-differs", `${name}: ${value} at ${lowest + place}, not ${known}`);
    }
    for (const [id, { lowest: from, values }] of namedValuesIn(log)) named.shown(id, from, values);
  }
}

/** Fetches the files of a backup into an empty machine, and opens its log. */
async function restored(
  machine: Machine,
  store: BucketClient,
  snapshot: BackupSnapshot,
  clock: VirtualClock,
): Promise<SegmentedLog> {
  const { disk, rowStore, peer } = machine;
  const state = new StableState(machine.store);
  state.saveRestoring();
  const log = SegmentedLog.open({
    ...{ directory: dataDirectory, disk, store: machine.store, rowStore },
    mapper: heapMapper(disk),
    newDirectoryId: directoryId(peer),
  });
  const sizes = new Map(backupFiles(snapshot).map(({ file, bytes }) => [file, bytes]));
  const fetched = new Map<string, Uint8Array>();
  const source = {
    prepare: async (file: string): Promise<void> => {
      const found = await store.read(`files/${file}`, 0, sizes.get(file)!);
      if (found === undefined) throw new Fault("corrupt", { message: `${file} is missing` });
      fetched.set(file, found);
    },
    read: (file: string, position: number, bytes: number) =>
      fetched.get(file)!.subarray(position, position + bytes),
    release: (file: string) => void fetched.delete(file),
  };
  await restoreFrames(log, snapshot, source, clock);
  state.saveRestored(snapshot.clusterId);
  return log;
}
