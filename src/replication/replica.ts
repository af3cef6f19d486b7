/**
 * One node's replica of the log, put together: the segmented log is Raft's storage and its state in one.
 *
 *   CommitLog ← ReplicatedLog ← Appender ┐
 *                                        ├ RaftNode ← RaftTransport (peers)
 *   SegmentedLog ← SegmentStorage ───────┘
 *
 * Never: opens a socket, decides who is a member.
 */
import { Fault } from "../fault.ts";
import { assert } from "../lib/assert.ts";
import { isNoSpace } from "../lib/disk/disk.ts";
import type { Prng } from "../lib/prng.ts";
import { type Logger, noLogger } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import {
  checkSettings,
  defaultReserveBytes,
  type LogSettings,
  type QueueLimits,
  Reserve,
  SegmentedLog,
  type SegmentedLogOptions,
  type SyncMode,
  SyncPolicy,
} from "../log/mod.ts";
import {
  type ConfState,
  emptyConfState,
  type Message,
  type NodeStatus,
  type PeerFaultReason,
  RaftNode,
  type RaftNodeOptions,
  type RaftTransport,
  type StateMachine,
} from "../raft/mod.ts";
import type { NodeId } from "../types.ts";
import { Appender } from "./append/appender.ts";
import { proposerOf } from "./append/proposer.ts";
import { type BootClaim, nextBoot, type StoredBoot } from "./identity/boot.ts";
import { BootRecords } from "./identity/boot-records.ts";
import { directoryText, type NodeIdentity, peerIdOf } from "./identity/node-identity.ts";
import { LeaderWatch } from "./leader-watch.ts";
import { Maintenance } from "./maintenance.ts";
import { type Forwarder, ReplicatedLog } from "./replicated-log.ts";
import { SegmentStorage } from "./segment-storage.ts";
import { StableState } from "./stable-state.ts";
import { LogTime } from "./time/log-time.ts";

export interface ReplicaOptions extends Omit<SegmentedLogOptions, "unsynced"> {
  readonly clock: Clock;
  /** Of its own for this node: elections must not be drawn alike. */
  readonly random: Prng;
  readonly name: NodeId;
  readonly address: string;
  /** What this node, leading, makes the replicated settings. */
  readonly settings: LogSettings;
  /** What its time goes by; default: this node's clock alone, as long as it is not set. */
  readonly time?: LogTime;
  readonly transport: RaftTransport;
  readonly forwarder: Forwarder;
  /** Default "always". */
  readonly sync?: SyncMode;
  /** Default: defaultReserveBytes(). 0 keeps no reserve. */
  readonly reserveBytes?: number | undefined;
  readonly queue?: QueueLimits;
  readonly syncPolicy?: SyncPolicy;
  readonly logger?: Logger;
  /** Ticks and limits of Raft. */
  readonly raft?: Partial<
    Omit<
      RaftNodeOptions,
      | "peer"
      | "clock"
      | "random"
      | "storage"
      | "transport"
      | "machine"
      | "onChange"
      | "onHandOver"
      | "onFailure"
    >
  >;
}

export class Replica implements AsyncDisposable {
  readonly identity: NodeIdentity;
  readonly storedLog: SegmentedLog;
  readonly log: ReplicatedLog;
  readonly state: StableState;
  readonly boots: BootRecords;
  readonly watch: LeaderWatch;
  readonly time: LogTime;
  /** Resolves when nothing can be made durable any more: the process had better end, and not with 0. */
  readonly failed: Promise<Fault>;
  readonly #options: ReplicaOptions;
  readonly #storage: SegmentStorage;
  readonly #appender: Appender;
  readonly #maintenance: Maintenance;
  readonly #reserve: Reserve | undefined;
  readonly #diskRefusalListeners = new Set<() => void>();
  readonly #listeners = new Set<(status: NodeStatus) => void>();
  readonly #fail: (fault: Fault) => void;
  /** Why this node is not a member of its cluster and takes no writes, if so; set by its owner. */
  membershipFault: Fault | undefined;
  /** What this node waits for before it takes part in a cluster, if anything; set by its owner. */
  waitingFor: string | undefined;
  #node: RaftNode | undefined;
  readonly #toldFaults = new Set<string>();
  #settledTerm = 0;
  #closed: Promise<void> | undefined;

  /** Opens and recovers the log; nothing runs before start(). Throws what SegmentedLog.open throws, and "config". */
  static open(options: ReplicaOptions): Replica {
    checkSettings(options.settings);
    return new Replica(options);
  }

  private constructor(options: ReplicaOptions) {
    this.#options = options;
    const { clock, disk, directory, store, sync = "always" } = options;
    const log = SegmentedLog.open({
      ...options,
      unsynced: sync !== "always",
      onRefusal: () => this.#diskRefused(),
    });
    this.time = options.time ?? new LogTime(clock, options.logger);
    this.storedLog = log;
    this.state = new StableState(store);
    this.time.begin(log.end.timestampMs, this.state);
    const text = directoryText(log.directoryId);
    this.identity = { name: options.name, directory: text, peer: peerIdOf(log.directoryId) };
    this.#reserve = this.#openReserve();
    const policy = options.syncPolicy ?? SyncPolicy.measure(disk, clock, directory);
    this.#storage = new SegmentStorage({
      log,
      state: this.state,
      clock,
      time: this.time,
      sync,
      policy,
      reserve: this.#reserve,
    });
    this.#appender = new Appender({
      log,
      clock,
      time: this.time,
      reserve: this.#reserve,
      ...(options.queue === undefined ? {} : { limits: options.queue }),
    });
    const failed = Promise.withResolvers<Fault>();
    this.failed = failed.promise;
    this.#fail = failed.resolve;
    this.watch = new LeaderWatch({
      clock,
      ready: () => this.#appender.ready,
      leads: () => this.#node?.isLeader === true,
      leaderName: () => this.#node?.leader?.name,
    });
    this.log = new ReplicatedLog({
      log,
      node: () => this.#node,
      appender: this.#appender,
      watch: this.watch,
      forwarder: options.forwarder,
      membershipFault: () => this.membershipFault,
      waitingFor: () => this.waitingFor,
      clock,
      disk,
      directory,
      sync,
    });
    this.#maintenance = new Maintenance({
      log,
      clock,
      time: this.time,
      leads: () => this.#appender.ready,
      trim: (before) => void this.log.trim(before).catch(() => undefined),
      keepAfter: () => this.#keepAfter(),
      failed: (reason) => {
        void this.#node?.close();
        this.#fail(this.#broken(reason));
      },
    });
    this.boots = new BootRecords(this.#boot(sync !== "always"), this.state);
    this.#report();
  }

  /** Begins a boot: durable before this node speaks to anyone. Throws Fault "disk-full". */
  #boot(unsynced: boolean): BootClaim {
    const { random } = this.#options;
    const before = this.state.boot;
    const chance = random.stream(`boot/${before?.count ?? 0}`);
    const nonce = [chance.uint32(), chance.uint32()]
      .map((half) => half.toString(16).padStart(8, "0"))
      .join("");
    const boot = nextBoot(before, nonce);
    try {
      this.state.saveBoot(boot);
    } catch (cause) {
      if (!isNoSpace(cause)) throw cause;
      this.#reserve?.release();
      this.#saveBootNow(boot);
    }
    const { end, wasUnsynced } = this.storedLog;
    const term = Math.max(this.state.vote?.term ?? 0, end.term);
    return { ...boot, start: { term, index: end.index }, lossy: unsynced || wasUnsynced };
  }

  #saveBootNow(boot: StoredBoot): void {
    try {
      this.state.saveBoot(boot);
    } catch (cause) {
      if (!isNoSpace(cause)) throw cause;
      throw new Fault("disk-full", { message: "the disk is full, the boot number cannot be written", cause });
    }
  }

  /** The Raft node. There is none before start(). */
  get node(): RaftNode {
    assert(this.#node !== undefined, "not started");
    return this.#node;
  }

  get started(): boolean {
    return this.#node !== undefined;
  }

  /** Does this directory hold a configuration? Then it is a member of a cluster, and needs no bootstrap. */
  get configured(): boolean {
    return this.state.configured;
  }

  /** Is this node ready to append? */
  get ready(): boolean {
    return this.#appender.ready;
  }

  /** Fault "disk-full" or "disk-busy" while records are refused because of this node's disk. Looks whether they still are. */
  get diskRefusal(): Fault | undefined {
    if (this.#reserve?.open === false) return this.#reserve.fault();
    return this.storedLog.retryRefused();
  }

  /** This node as a member of a first configuration. */
  get member(): { peer: number; name: string; directory: string; address: string } {
    return { ...this.identity, address: this.#options.address };
  }

  /**
   * Makes this the first configuration of a cluster. Every node that begins with it must be given the same, once,
   * before it starts. The id is that of the cluster; without one the directory keeps what it has.
   */
  bootstrap(members: readonly Replica["member"][], clusterId?: string): void {
    if (this.#node !== undefined || this.configured) {
      throw new Fault("failed-precondition", { message: "this node belongs to a cluster already" });
    }
    const sorted = [...members].sort((a, b) => a.peer - b.peer);
    const voters = sorted.map(({ peer }) => peer);
    const configuration: ConfState = {
      ...emptyConfState,
      voters,
      roster: { members: sorted, nextPeer: Math.max(...voters) + 1 },
    };
    this.state.bootstrap(configuration, clusterId);
  }

  /** Calls back on every change of role, term or leader; the answer ends it. */
  onChange(listener: (status: NodeStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back when this node's disk begins to take no records (see diskRefusal); the answer ends it. */
  onDiskRefusal(listener: () => void): () => void {
    this.#diskRefusalListeners.add(listener);
    return () => this.#diskRefusalListeners.delete(listener);
  }

  #diskRefused(): void {
    const refusal = this.storedLog?.refusal;
    if (refusal !== undefined) this.#logger.warn({ err: refusal }, refusal.message);
    for (const listener of this.#diskRefusalListeners) listener();
  }

  /** Begins to take part. A node that is the only voter leads at once. */
  start(): void {
    const options = this.#options;
    const node = new RaftNode({
      ...options.raft,
      peer: this.identity.peer,
      clock: options.clock,
      random: options.random,
      storage: this.#storage,
      transport: options.transport,
      machine: this.#machine(),
      onPeerFault: (why, message) => this.#peerFault(why, message),
      onChange: (status) => this.#changed(status),
      onHandOver: () => this.watch.notify(),
      onFailure: (cause) => this.#fail(this.#broken(cause)),
    });
    this.#node = node;
    this.#appender.attach(proposerOf(node));
    node.start();
    const { voters } = node.configuration;
    if (voters.length === 1 && voters[0] === this.identity.peer) node.campaign();
    this.#maintenance.schedule();
  }

  /** Takes no more and closes. What is undecided fails as unknown. Harmless when called again. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#maintenance.close();
      this.#appender.close();
      await this.#node?.close();
      await this.#storage.close();
      this.storedLog.close();
      // Appends that wait for a leader end now.
      this.watch.notify();
    })();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #openReserve(): Reserve | undefined {
    const { disk, clock, directory, settings } = this.#options;
    const volumeBytes = disk.totalBytes(directory);
    const bytes =
      this.#options.reserveBytes ?? defaultReserveBytes(volumeBytes, settings.segmentStoreBytesMax);
    if (bytes === 0) return undefined;
    const figures = (): object => ({
      reserveBytes: bytes,
      freeBytes: disk.freeBytes(directory),
      volumeBytes,
    });
    this.#logger.info(figures(), "room is kept in reserve for a full disk");
    return new Reserve({
      disk,
      clock,
      path: `${directory}/reserve`,
      bytes,
      onChange: (full) => {
        if (full) {
          this.#logger.warn(figures(), "the disk is full: records are refused until there is room");
          this.#diskRefused();
        } else this.#logger.info(figures(), "there is room again: records are taken");
      },
    });
  }

  #machine(): StateMachine {
    const log = this.storedLog;
    return {
      apply: (entries) => {
        log.commitTo(entries[entries.length - 1]!.index);
        this.#maintenance.schedule();
        if (this.node.isLeader) this.#firstOfTerm();
      },
      configure: (entry, configuration) => {
        this.#storage.saveConfiguration(entry.index, configuration);
        log.commitTo(entry.index);
        this.#tell();
      },
      restore: () => this.#tell(),
      gather: () => this.#appender.gather(),
    };
  }

  /** The first entry of this leader's term is applied: appends may come, and the settings are made ours. */
  #firstOfTerm(): void {
    const { term } = this.node;
    if (this.#settledTerm === term || !this.#appender.ready) return;
    this.#settledTerm = term;
    this.watch.notify();
    this.log.settle(this.#options.settings).catch((reason: unknown) => {
      this.#logger.warn({ err: reason }, "the settings could not be replicated");
    });
  }

  #changed(status: NodeStatus): void {
    const { role, term, leaderMember } = status;
    this.#logger.info({ role, term, leader: leaderMember?.name }, "raft");
    if (!this.node.isLeader) {
      this.#appender.fail(new Fault("unavailable", { message: "this node does not lead any more" }));
    }
    this.#tell();
  }

  /** Once for each reason and peer in a term: such messages may come many times a second. */
  #peerFault(why: PeerFaultReason, { type, from, term, index, commit }: Message): void {
    const told = `${why} ${from} ${term}`;
    if (this.#toldFaults.has(told)) return;
    if (this.#toldFaults.size >= 1_024) this.#toldFaults.clear();
    this.#toldFaults.add(told);
    const peer = this.node.configuration.roster?.members.find((member) => member.peer === from)?.name;
    const { lastIndex } = this.node;
    this.#logger.error(
      { why, peer, type, term, index, commit, lastIndex },
      "a peer sent what cannot be, its message was ignored: acknowledged entries may be lost there or here",
    );
  }

  #tell(): void {
    this.watch.notify();
    const status = this.node.status();
    for (const listener of this.#listeners) listener(status);
  }

  /** What no live follower needs any more, as far as this node knows. */
  #keepAfter(): number {
    const { progress } = this.node.status();
    let keep = this.storedLog.commitIndex;
    for (const { active, match } of progress?.values() ?? []) if (active) keep = Math.min(keep, match);
    return keep;
  }

  #broken(cause: unknown): Fault {
    // Where a follower needs what is damaged here, another node had better lead.
    const damage = cause instanceof Fault && cause.kind === "corrupt" ? cause : undefined;
    const fault =
      this.storedLog.failure ??
      damage ??
      new Fault("disk-failed", { message: "the log has failed", written: "unknown", cause });
    this.#appender.fail(new Fault("disk-failed", { cause }));
    this.#logger.error({ err: cause }, "the log has failed: nothing is written any more");
    return fault;
  }

  get #logger(): Logger {
    return this.#options.logger ?? noLogger;
  }

  #report(): void {
    const { cut, indexRebuilt, rewrittenBytes, scannedBytes } = this.storedLog.recovery;
    const logger = this.#logger;
    if (cut !== undefined) logger.warn({ ...cut }, "a torn write group was cut off and kept beside");
    if (indexRebuilt) logger.warn({ scannedBytes }, "the index of the last segment was built anew");
    if (rewrittenBytes > 0) logger.info({ rewrittenBytes }, "the end of the log was made durable again");
    const { sync = "always" } = this.#options;
    if (sync !== "always") logger.warn({ sync }, "appends are acknowledged before they are durable");
  }
}
