/**
 * A replica with the whole of src/replication, on a simulated disk and clock. It is observed from outside after every
 * event: the applied entries are those that its log shows as committed.
 */

import { heapMapper } from "../../../src/lib/disk/mapped-file.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import { decodeCursorCommand } from "../../../src/log/frame/cursor-command.ts";
import {
  decodeConfigure,
  decodeCreate,
  decodeDelete,
  decodeLogTrim,
} from "../../../src/log/frame/log-command.ts";
import {
  batchKind,
  defaultSettings,
  encodeRun,
  frameBaseOffset,
  frameCommand,
  frameCrc,
  frameIndex,
  frameKind,
  frameLogId,
  frameTerm,
  frameTimestampMs,
  SyncPolicy,
} from "../../../src/log/mod.ts";
import type { Forwarder } from "../../../src/replication/forwarder.ts";
import type { BootRecords } from "../../../src/replication/identity/boot-records.ts";
import { type BackupPart, backupParts, type ChainPoint, Replica } from "../../../src/replication/mod.ts";
import type { ReplicatedLog } from "../../../src/replication/replicated-log.ts";
import type { LogTime } from "../../../src/replication/time/log-time.ts";
import type { ProducerStamp, RecordRun } from "../../../src/types.ts";
import { ofProcess } from "../../support/disk/of-process.ts";
import { SimDisk, SimulatedCrash } from "../../support/disk/sim-disk.ts";
import { SimStableStore } from "../../support/disk/sim-stable-store.ts";
import { MemoryRowStore } from "../../support/rows/memory-row-store.ts";
import { isDead, ProcessClock } from "../../support/time/process-clock.ts";
import { type NamedFrame, simQuotas } from "../checks/named-history.ts";
import { directoryId, memberOf, nameOf, peerNamed } from "../cluster/sim-members.ts";
import type { Swarm } from "../faults/swarm.ts";
import type { PeerId, RaftIndex, RaftNode } from "../raft.ts";
import type {
  AppendCallbacks,
  Applied,
  DirectoryCopy,
  ProcessContext,
  ReplicaFaults,
  SimReplica,
} from "./sim-replica.ts";
import { StampedEarlier } from "./stamped-earlier.ts";
import { cursorsIn, namedValuesIn, recordsOf, valuesIn, valuesOf } from "./stored-values.ts";

export const dataDirectory = "/data";
const chunkBytes = 1 << 20;

/** Small segments, so that there are many. The retention time is longer than any run. */
const settings = { ...defaultSettings, segmentStoreBytesMax: 2000, retentionAgeMs: 3_600_000 };
const reserveBytes = 3000;
/** Whatever can be settled is, soon. */
const settling = {
  settleBytesPerSecond: 1e6,
  settlePace: {
    gainMin: 0,
    gainMinFull: 0,
    mergedShare: 3,
    firstPassMs: 200,
    restMs: 2,
    nextPassMs: 100,
    retryMs: 300,
  },
};

/** The part of a server that survives the end of its process. */
export interface Machine {
  readonly peer: PeerId;
  readonly disk: SimDisk;
  readonly store: SimStableStore;
  readonly rowStore: MemoryRowStore;
  readonly random: Prng;
  readonly faults: ReplicaFaults;
  readonly forwarder: Forwarder;
  readonly settles: boolean;
  /** The clock of the current process. Disk delays are timed on it. */
  clock: Clock;
  /** Milliseconds that the next two steps of a flush take. */
  waits: number[];
}

/** Creates a machine with an empty disk. */
export function newMachine(
  peer: PeerId,
  clock: Clock,
  random: Prng,
  faults: ReplicaFaults,
  forwarder: Forwarder,
  { settles, namedLogs }: Pick<Swarm, "settles" | "namedLogs">,
): Machine {
  const delay = (): Promise<void> => {
    const left = machine.waits.shift() ?? 0;
    return left === 0 ? Promise.resolve() : new Promise((resolve) => machine.clock.after(left, resolve));
  };
  const disk = new SimDisk(random.stream("torn"), { delay });
  disk.makeDirectory(dataDirectory);
  const store = new SimStableStore(disk);
  const rowStore = new MemoryRowStore(disk, () => nextTurn(machine.clock));
  const machine: Machine = {
    ...{ peer, disk, store, rowStore, random, faults, forwarder, clock },
    settles: settles && namedLogs,
    waits: [],
  };
  return machine;
}

const nextTurn = (clock: Clock): Promise<void> => new Promise((resolve) => clock.soon(resolve));

export class RealReplica implements SimReplica {
  readonly #machine: Machine;
  readonly #context: ProcessContext;
  readonly #replica: Replica;
  readonly #powerCuts: number;
  readonly time: LogTime;
  startedMs = 0;
  #seen: RaftIndex;
  #settled = 0;
  #merged = 0;

  /** `first`: the members that bootstrap the cluster, if this server is one of them. */
  constructor(machine: Machine, context: ProcessContext, first: readonly PeerId[] = []) {
    const { peer, disk, store, rowStore, forwarder, settles } = machine;
    const { clock, random, limits, send, observe, failed } = context;
    this.#machine = machine;
    this.#context = context;
    machine.clock = clock;
    machine.waits = [];
    this.#powerCuts = disk.counts.crash;
    const own = new ProcessClock(clock, failed);
    const time = new StampedEarlier(own, context.stampedEarlierMs);
    this.time = time;
    this.#replica = Replica.open({
      directory: dataDirectory,
      disk: ofProcess(disk, disk),
      store: ofProcess(store, disk),
      rowStore,
      rowCheckpoints: { fewRows: 0, rowsMax: 4, bytesMax: 6000 },
      mapper: heapMapper(disk),
      newDirectoryId: directoryId(peer),
      frameCacheBytesMax: 1500,
      clock: own,
      time,
      random,
      name: memberOf(peer).name,
      address: memberOf(peer).address,
      settings,
      reserveBytes,
      transport: {
        send,
        members: ({ voters, votersOutgoing, roster }) => {
          this.#replica.boots.setMembers((roster?.members ?? []).map((member) => member.directory));
          time.compareWith(
            [...new Set([...voters, ...votersOutgoing])].filter((one) => one !== peer).map(nameOf),
          );
        },
        mayCampaign: () => time.status().successors.length === 0,
        successors: () => time.status().successors.map(peerNamed),
      },
      forwarder,
      quotas: simQuotas,
      ...(settles ? settling : {}),
      syncPolicy: new SimSyncPolicy(machine),
      zerosMax: 1000,
      raft: { ...limits, observe },
    });
    if (first.length > 0 && !this.#replica.configured) this.#replica.bootstrap(first.map(memberOf));
    this.#seen = this.firstIndex - 1;
    this.#reportCommitted(context.recovered);
  }

  get rows(): Replica["rows"] {
    return this.#replica.rows;
  }

  get boots(): BootRecords {
    return this.#replica.boots;
  }

  copy(): DirectoryCopy {
    const { disk, store } = this.#machine;
    return { disk: disk.image(), store: store.image() };
  }

  rollBack({ disk, store }: DirectoryCopy): void {
    this.#machine.disk.restoreImage(disk);
    this.#machine.store.restoreImage(store);
  }

  get log(): ReplicatedLog {
    return this.#replica.log;
  }
  get firstIndex(): RaftIndex {
    return this.#replica.storedLog.firstIndex;
  }
  get appliedIndex(): RaftIndex {
    return this.#replica.storedLog.commitIndex;
  }
  get lowest(): number {
    return this.#replica.storedLog.bounds.lowest;
  }
  get next(): number {
    return this.#replica.storedLog.bounds.next;
  }

  get durable(): SimReplica["durable"] {
    const { storedLog, state } = this.#replica;
    const { term, vote } = state.vote ?? { term: 0, vote: 0 };
    const lastIndex = storedLog.durableIndex;
    return {
      hardState: { term, vote, commit: storedLog.commitIndex },
      lastIndex,
      term: (index) => (index > lastIndex ? undefined : storedLog.term(index)),
    };
  }

  start(): RaftNode {
    this.startedMs = this.#context.clock.monotonicMs();
    this.#replica.failed.then(this.#context.failed, () => {});
    this.#replica.start();
    return this.#replica.node;
  }

  reportApplied(): void {
    const { disk, faults } = this.#machine;
    if (disk.counts.crash !== this.#powerCuts) throw new SimulatedCrash("the power went");
    disk.capacityBytes = faults.full() ? 0 : Number.POSITIVE_INFINITY;
    if (faults.failNext) disk.faults.syncFails = 1;
    faults.failNext = false;
    const { storedLog } = this.#replica;
    const { firstIndex, commitIndex, settler } = storedLog;
    for (const settled = settler?.totals.segments ?? 0; this.#settled < settled; this.#settled++)
      this.#context.mark("settled");
    for (const merged = settler?.merged.to ?? 0; this.#merged < merged; this.#merged++)
      this.#context.mark("merged");
    if (commitIndex === this.#seen) return;
    if (firstIndex > this.#seen + 1) {
      this.#seen = firstIndex - 1;
      this.#context.restored(this.#seen);
    }
    this.#reportCommitted(this.#context.applied);
  }

  /** Reports the committed entries that were not reported yet. */
  #reportCommitted(report: (applied: Applied) => void): void {
    const { storedLog } = this.#replica;
    const { commitIndex } = storedLog;
    while (this.#seen < commitIndex) {
      for (const frame of storedLog.entries(this.#seen + 1, chunkBytes, commitIndex)) {
        this.#seen = frameIndex(frame, 0);
        const id = frameLogId(frame, 0);
        const named = id === 0 ? undefined : namedFrameOf(frame);
        const [values, offset] = id === 0 ? recordsOf(frame) : [[], undefined];
        if (frameKind(frame, 0) === batchKind.settled) this.#context.mark("settled-applied");
        const term = frameTerm(frame, 0);
        const digest = `${term}:${frameCrc(frame, 0)}`;
        report({
          index: this.#seen,
          term,
          digest,
          offset,
          values,
          ...(named === undefined ? {} : { named }),
        });
      }
    }
    const { logs } = storedLog.state;
    // The order of the properties depends on which frames a node has applied since it read the row.
    const rows = [...logs.rows()]
      .sort((one, other) => one.id - other.id)
      .map((row) => Object.entries(row).sort(([one], [other]) => (one < other ? -1 : 1)));
    this.#context.rows(commitIndex, JSON.stringify([logs.level, logs.life, rows]));
  }

  namedValues(): ReturnType<NonNullable<SimReplica["namedValues"]>> {
    return namedValuesIn(this.#replica.storedLog);
  }

  cursors(): ReturnType<NonNullable<SimReplica["cursors"]>> {
    return cursorsIn(this.#replica.storedLog);
  }

  values(): readonly string[] {
    return valuesIn(this.#replica.storedLog);
  }

  backup(have: readonly string[], after: ChainPoint | undefined): Iterable<BackupPart | undefined> {
    return backupParts(this.#replica.storedLog, this.#replica.state, have, after);
  }

  append(value: string, callbacks: AppendCallbacks, producer?: ProducerStamp): void {
    this.log.append(runOf(value), producer === undefined ? {} : { producer }).then(
      ({ firstOffset }) => callbacks.acked(firstOffset),
      (reason: unknown) => {
        if (!isDead(reason)) callbacks.failed(reason as Error);
      },
    );
  }

  linearizableEnd(then: (next: number) => void): void {
    this.log.bounds({ mode: "linearizable" }).then(
      ({ next }) => then(next),
      () => {},
    );
  }

  trim(): number {
    const before = Math.floor((this.lowest + this.next) / 2);
    this.log.trim(before).catch(() => {});
    return before;
  }

  compact(): void {
    this.#replica.storedLog.compact();
  }

  cutSoon(): void {
    this.#machine.disk.crashAfter(this.#machine.random.between(0, 8));
  }

  reopen(context: ProcessContext, powerCut: boolean): SimReplica {
    const { disk, faults } = this.#machine;
    // An operator frees space or replaces the disk before the next start.
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    disk.faults.syncFails = 0;
    faults.failNext = false;
    if (powerCut) disk.crash();
    else disk.kill();
    return new RealReplica(this.#machine, context);
  }
}

export const runOf = (value: string): RecordRun => {
  const { bytes, count } = encodeRun([{ value: Buffer.from(value) }]);
  return { bytes, count };
};

function namedFrameOf(frame: Uint8Array): NamedFrame {
  const kind = frameKind(frame, 0);
  const command = frameCommand(frame, 0);
  const created = kind === batchKind.createLog ? decodeCreate(command) : undefined;
  return {
    id: frameLogId(frame, 0),
    kind,
    base: frameBaseOffset(frame, 0),
    name: created?.name,
    owner: created?.owner,
    settings: created?.settings ?? (kind === batchKind.configureLog ? decodeConfigure(command) : undefined),
    fork: created?.fork,
    cursor: kind === batchKind.commitCursor ? decodeCursorCommand(command) : undefined,
    timestampMs: frameTimestampMs(frame, 0),
    deletes:
      kind === batchKind.deleteLog || kind === batchKind.hideLog
        ? { upTo: decodeDelete(command) }
        : undefined,
    trim: kind === batchKind.trimLog ? decodeLogTrim(command) : undefined,
    bytes: frame.length,
    values: kind === batchKind.data ? valuesOf(frame)[0] : [],
    closes:
      kind === batchKind.data &&
      command.length > 0 &&
      JSON.parse(Buffer.from(command).toString()).closes === true,
  };
}

/**
 * Takes the duration of each sync from the simulated cluster: inline if it is 0, otherwise off the event loop in two halves.
 */
class SimSyncPolicy extends SyncPolicy {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    super(true);
    this.#machine = machine;
  }

  override inline(): boolean {
    const wait = this.#machine.faults.syncMs();
    this.#machine.waits = [wait / 2, wait / 2];
    return wait === 0;
  }
}
