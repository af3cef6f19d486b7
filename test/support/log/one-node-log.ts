/**
 * The log of a cluster of one node: a Replica and its ReplicatedLog, on the disk and clock of the test.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../../src/fault.ts";
import { heapMapper, systemMapper } from "../../../src/lib/disk/mapped-file.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import { type Clock, systemClock } from "../../../src/lib/time/clock.ts";
import { defaultSettings, type LogSettings, type SegmentedLog, sameSettings } from "../../../src/log/mod.ts";
import type { RaftTransport } from "../../../src/raft/mod.ts";
import { type Forwarder, Replica, type ReplicaOptions } from "../../../src/replication/mod.ts";
import { openRowStore } from "../../../src/rows/mod.ts";
import { openStableStore } from "../../../src/store/mod.ts";
import type {
  Appended,
  AppendOptions,
  BatchSlice,
  Bounds,
  ChangedLog,
  CommitLog,
  Freshness,
  LogChange,
  LogDescription,
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../../../src/types.ts";
import { isDead, ProcessClock } from "../time/process-clock.ts";
import { until } from "../until.ts";

const noOtherNode: Forwarder = {
  append: () => Promise.reject(new Fault("unavailable")),
  trim: () => Promise.reject(new Fault("unavailable")),
  changeLog: () => Promise.reject(new Fault("unavailable")),
};
const noTransport: RaftTransport = { send: () => {}, members: () => {} };

export interface OneNodeOptions extends Partial<ReplicaOptions> {
  /** Called with the recovered replica before it starts. */
  readonly beforeStart?: (replica: Replica) => void;
  /** Resolve only when the node leads and its settings are applied. Default true; use false for a full disk. */
  readonly waitsToLead?: boolean;
}

/** Where the node runs. */
export type NodePlace = Pick<
  ReplicaOptions,
  "directory" | "disk" | "store" | "mapper" | "newDirectoryId" | "clock"
> &
  Pick<Partial<ReplicaOptions>, "rowStore" | "rowCheckpoints" | "zerosMax">;

export class OneNodeLog implements CommitLog, AsyncDisposable {
  readonly replica: Replica;
  readonly store: ReplicaOptions["store"];
  /** Resolves when the log fails. */
  readonly failed: Promise<Fault>;
  readonly #process: ProcessClock;
  readonly #waiting = new Set<(fault: Fault) => void>();
  #failure: Fault | undefined;

  /**
   * Opens the log, bootstraps a cluster of one node for a new directory, and waits until the node leads.
   * @throws what Replica.open throws
   */
  static async open(
    place: NodePlace,
    settings: Partial<LogSettings> = {},
    options: OneNodeOptions = {},
  ): Promise<OneNodeLog> {
    const whole = { ...defaultSettings, ...settings };
    const log = new OneNodeLog(place, whole, options);
    if (options.waitsToLead === false) return log;
    const { replica } = log;
    const { storedLog } = replica;
    const settled = (): boolean =>
      replica.ready &&
      storedLog.commitIndex === storedLog.end.index &&
      sameSettings(storedLog.state.settings, whole);
    await until("the only node leads", () => log.failure !== undefined || settled());
    if (log.failure !== undefined) throw log.failure;
    return log;
  }

  private constructor(place: NodePlace, settings: LogSettings, options: OneNodeOptions) {
    const { beforeStart, waitsToLead: _, ...more } = options;
    const clock: Clock = options.clock ?? place.clock;
    this.#process = new ProcessClock(clock, () => this.kill());
    this.store = options.store ?? place.store;
    const replica = Replica.open({
      random: prng(place.directory),
      name: "alone",
      address: "127.0.0.1:1",
      settings,
      reserveBytes: 0,
      transport: noTransport,
      forwarder: noOtherNode,
      ...place,
      ...more,
      clock: this.#process,
    });
    this.replica = replica;
    this.failed = replica.failed;
    void replica.failed.then((fault) => {
      this.#failure = fault;
      if (isPowerFailure(fault)) this.kill();
    });
    beforeStart?.(replica);
    if (!replica.configured) replica.bootstrap([replica.member]);
    replica.start();
  }

  get storedLog(): SegmentedLog {
    return this.replica.storedLog;
  }

  /** The fault of a log that failed. */
  get failure(): Fault | undefined {
    return this.#failure ?? this.storedLog.failure;
  }

  append(run: RecordRun, options?: AppendOptions): Promise<Appended> {
    return this.#guard(() => this.replica.log.append(run, options));
  }

  read(offset: Offset, freshness?: Freshness): Promise<BatchSlice> {
    return this.#guard(() => this.replica.log.read(offset, freshness));
  }

  bounds(freshness?: Freshness): Promise<Bounds> {
    return this.#guard(() => this.replica.log.bounds(freshness));
  }

  seek(start: ReadStart, freshness?: Freshness): Promise<Offset> {
    return this.#guard(() => this.replica.log.seek(start, freshness));
  }

  follow(offset: Offset): Tail {
    return this.replica.log.follow(offset);
  }

  trim(before: Offset, options?: AppendOptions): Promise<Offset> {
    return this.#guard(() => this.replica.log.trim(before, options));
  }

  /** Creates, changes or deletes a named log. */
  change(change: LogChange, options?: AppendOptions): Promise<ChangedLog> {
    return this.#guard(() => this.replica.log.named.change(change, options));
  }

  describe(): Promise<LogDescription> {
    return this.replica.log.describe();
  }

  /** The process dies: its clock stops, and operations under way reject. */
  kill(): void {
    this.#process.stop();
    this.#failure ??= new Fault("disk-failed", { message: "the process is dead", written: "unknown" });
    for (const reject of this.#waiting) reject(this.#failure);
    this.#waiting.clear();
  }

  close(): Promise<void> {
    return this.replica.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #guard<T>(ask: () => Promise<T>): Promise<T> {
    if (!this.#process.alive) {
      return Promise.reject(new Fault("disk-failed", { message: "the process is dead" }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const done = (): boolean => this.#waiting.delete(reject);
      ask().then(
        (answer) => {
          done();
          resolve(answer);
        },
        (reason: unknown) => {
          if (isPowerFailure(reason)) this.kill();
          else reject(reason);
          done();
        },
      );
    });
  }
}

/** Returns true if a simulated power failure is the cause. */
const isPowerFailure = (reason: unknown): boolean =>
  isDead(reason) || (reason instanceof Error && reason.cause !== undefined && isPowerFailure(reason.cause));

/** Opens a log of one node on the system's disk, with its own stable store. Both are closed together. */
export async function openOneNode(
  directory: string,
  settings: Partial<LogSettings> = {},
  options: OneNodeOptions = {},
): Promise<OneNodeLog> {
  mkdirSync(join(directory, "meta"), { recursive: true });
  const store = openStableStore(join(directory, "meta"));
  const place: NodePlace = {
    directory,
    disk: systemDisk,
    store,
    rowStore: openRowStore(join(directory, "meta")),
    mapper: systemMapper() ?? heapMapper(systemDisk),
    newDirectoryId: randomBytes(16),
    clock: systemClock,
  };
  try {
    const log = await OneNodeLog.open(place, settings, options);
    return Object.assign(log, {
      [Symbol.asyncDispose]: async () => {
        await log.close();
        await store.close();
      },
    });
  } catch (fault) {
    await store.close();
    throw fault;
  }
}
