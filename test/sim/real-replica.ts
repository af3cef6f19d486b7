/**
 * A replica as a real node runs it, src/replication whole, on a simulated disk and clock.
 *
 * It is looked at from outside: what it applied is what its log shows to be committed, after every event.
 *
 * Never: corrects what the replica does.
 */

import { heapMapper } from "../../src/lib/disk/mapped-file.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { Clock } from "../../src/lib/time/clock.ts";
import {
  defaultSettings,
  encodeRun,
  frameCrc,
  frameIndex,
  frameTerm,
  RecordCursor,
  SyncPolicy,
} from "../../src/log/mod.ts";
import type { BootRecords } from "../../src/replication/identity/boot-records.ts";
import { Replica } from "../../src/replication/mod.ts";
import type { Forwarder, ReplicatedLog } from "../../src/replication/replicated-log.ts";
import { LogTime } from "../../src/replication/time/log-time.ts";
import type { ProducerStamp, RecordRun } from "../../src/types.ts";
import { isDead, ProcessClock } from "../support/process-clock.ts";
import { SimDisk, SimulatedCrash } from "../support/sim-disk.ts";
import { SimStableStore } from "../support/sim-stable-store.ts";
import { directoryId, memberOf, nameOf, peerNamed } from "./identity.ts";
import type { PeerId, RaftIndex, RaftNode } from "./raft.ts";
import type { Answer, Applied, Copy, ReplicaFaults, SimReplica, Surroundings } from "./replica.ts";

const directory = "/data";
const chunkBytes = 1 << 20;

/** Small segments, so that there are many. Records are kept for longer than any run takes. */
const settings = { ...defaultSettings, segmentStoreBytesMax: 2000, retentionAgeMs: 3_600_000 };
const reserveBytes = 3000;

/** What outlives the process. */
export interface Machine {
  readonly peer: PeerId;
  readonly disk: SimDisk;
  readonly store: SimStableStore;
  readonly chance: Prng;
  readonly faults: ReplicaFaults;
  readonly forwarder: Forwarder;
  /** The clock of the process that runs now: the disk's own delays pass on it. */
  clock: Clock;
  /** Milliseconds that the next two steps of a flush take. */
  waits: number[];
}

/** A new machine with an empty disk. */
export function newMachine(
  peer: PeerId,
  clock: Clock,
  chance: Prng,
  faults: ReplicaFaults,
  forwarder: Forwarder,
): Machine {
  const delay = (): Promise<void> => {
    const left = machine.waits.shift() ?? 0;
    return left === 0 ? Promise.resolve() : new Promise((resolve) => machine.clock.after(left, resolve));
  };
  const disk = new SimDisk(chance.stream("torn"), { delay });
  disk.makeDirectory(directory);
  const store = new SimStableStore(disk);
  const machine: Machine = { peer, disk, store, chance, faults, forwarder, clock, waits: [] };
  return machine;
}

export class RealReplica implements SimReplica {
  readonly #machine: Machine;
  readonly #surroundings: Surroundings;
  readonly #replica: Replica;
  readonly #powerCuts: number;
  readonly time: LogTime;
  #seen: RaftIndex;

  /** `first` are the members that begin the cluster, if this is one of them. */
  constructor(machine: Machine, surroundings: Surroundings, first: readonly PeerId[] = []) {
    const { peer, disk, store, forwarder } = machine;
    const { clock, random, limits, send, observe, failed } = surroundings;
    this.#machine = machine;
    this.#surroundings = surroundings;
    machine.clock = clock;
    machine.waits = [];
    this.#powerCuts = disk.counts.crash;
    const own = new ProcessClock(clock, failed);
    const time = new LogTime(own);
    this.time = time;
    this.#replica = Replica.open({
      directory,
      disk,
      store,
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
          this.#replica.boots.members((roster?.members ?? []).map((member) => member.directory));
          time.compareWith(
            [...new Set([...voters, ...votersOutgoing])].filter((one) => one !== peer).map(nameOf),
          );
        },
        mayCampaign: () => time.status().successors.length === 0,
        successors: () => time.status().successors.map(peerNamed),
      },
      forwarder,
      syncPolicy: new SimSyncPolicy(machine),
      raft: { ...limits, observe },
    });
    if (first.length > 0 && !this.#replica.configured) this.#replica.bootstrap(first.map(memberOf));
    this.#seen = this.firstIndex - 1;
    this.#tell(surroundings.recovered);
  }

  get boots(): BootRecords {
    return this.#replica.boots;
  }

  copy(): Copy {
    const { disk, store } = this.#machine;
    return { disk: disk.image(), store: store.image() };
  }

  rollBack({ disk, store }: Copy): void {
    this.#machine.disk.putBack(disk);
    this.#machine.store.putBack(store);
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
    this.#replica.failed.then(this.#surroundings.failed, () => {});
    this.#replica.start();
    return this.#replica.node;
  }

  look(): void {
    const { disk, faults } = this.#machine;
    if (disk.counts.crash !== this.#powerCuts) throw new SimulatedCrash("the power went");
    disk.capacityBytes = faults.full() ? 0 : Number.POSITIVE_INFINITY;
    if (faults.failNext) disk.faults.syncFails = 1;
    faults.failNext = false;
    const { storedLog } = this.#replica;
    const { firstIndex, commitIndex } = storedLog;
    if (commitIndex === this.#seen) return;
    if (firstIndex > this.#seen + 1) {
      this.#seen = firstIndex - 1;
      this.#surroundings.restored(this.#seen);
    }
    this.#tell(this.#surroundings.applied);
  }

  /** Tells what is committed and was not seen yet. */
  #tell(tell: (applied: Applied) => void): void {
    const { storedLog } = this.#replica;
    const { commitIndex } = storedLog;
    while (this.#seen < commitIndex) {
      for (const frame of storedLog.entries(this.#seen + 1, chunkBytes, commitIndex)) {
        this.#seen = frameIndex(frame, 0);
        const [values, offset] = valuesOf(frame);
        const term = frameTerm(frame, 0);
        const digest = `${term}:${frameCrc(frame, 0)}`;
        tell({ index: this.#seen, term, digest, offset, values });
      }
    }
  }

  values(): readonly string[] {
    const { storedLog } = this.#replica;
    const { lowest } = this;
    const found: string[] = [];
    for (let at = storedLog.firstIndex; at <= storedLog.commitIndex; ) {
      const frames = storedLog.entries(at, chunkBytes, storedLog.commitIndex);
      for (const frame of frames) found.push(...valuesOf(frame, lowest)[0]);
      at += frames.length;
    }
    return found;
  }

  append(value: string, answer: Answer, producer?: ProducerStamp): void {
    this.log.append(runOf(value), producer === undefined ? {} : { producer }).then(
      ({ firstOffset }) => answer.acked(firstOffset),
      (reason: unknown) => {
        if (!isDead(reason)) answer.failed(reason as Error);
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
    this.#machine.disk.crashAfter(this.#machine.chance.between(0, 8));
  }

  reopen(surroundings: Surroundings, powerCut: boolean): SimReplica {
    const { disk, faults } = this.#machine;
    // Somebody makes room, or puts a new disk in, before it is started again.
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    disk.faults.syncFails = 0;
    faults.failNext = false;
    if (powerCut) disk.crash();
    else disk.kill();
    return new RealReplica(this.#machine, surroundings);
  }
}

export const runOf = (value: string): RecordRun => {
  const { bytes, count } = encodeRun([{ value: Buffer.from(value) }]);
  return { bytes, count };
};

/** The values of a frame, or of several in a row, and the offset of the first. */
export function valuesOf(frames: Uint8Array, from = 0): [values: string[], offset: number | undefined] {
  const cursor = new RecordCursor(frames, from);
  const values: string[] = [];
  let offset: number | undefined;
  while (cursor.next()) {
    offset ??= cursor.offset;
    values.push(valueAt(cursor));
  }
  return [values, offset];
}

/** A record of one short value: tag, length, value. */
function valueAt({ frames, start, end }: RecordCursor): string {
  return end - start < 2 ? "" : Buffer.from(frames.subarray(start + 2, end)).toString("utf8");
}

/** Syncs take what the world says: at once on the spot, or a while off the event loop, in two halves. */
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
