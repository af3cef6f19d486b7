/**
 * One node's replica of the log. The segmented log is both Raft's storage and its state machine.
 *
 *   CommitLog ← ReplicatedLog ← Appender ┐
 *                                        ├ RaftNode ← RaftTransport (peers)
 *   SegmentedLog ← SegmentStorage ───────┘
 *
 * A replica opens no socket and does not decide on members: its owner provides the transport and proposes changes.
 */
import { Fault } from "../fault.ts";
import { assert } from "../lib/assert.ts";
import { type Logger, noLogger } from "../lib/telemetry.ts";
import {
  checkSettings,
  type Reserve,
  SegmentedLog,
  type SegmentedLogOptions,
  type SyncMode,
  SyncPolicy,
} from "../log/mod.ts";
import { type Member, type NodeStatus, RaftNode, type StateMachine } from "../raft/mod.ts";
import { Appender } from "./append/appender.ts";
import { appenderNodeOf } from "./append/appender-node.ts";
import { BootRecords } from "./identity/boot-records.ts";
import { initialConfiguration } from "./identity/initial-configuration.ts";
import { directoryText, type NodeIdentity, peerIdOf } from "./identity/node-identity.ts";
import { startBoot } from "./identity/start-boot.ts";
import { LeaderWatch } from "./leader-watch.ts";
import { beginLife } from "./logs/cluster-life.ts";
import type { LogQuotas } from "./logs/log-quotas.ts";
import { SettledLevel } from "./logs/settled-level.ts";
import { Maintenance } from "./maintenance.ts";
import { PeerFaultLog } from "./peer-fault-log.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import { ReplicatedLog } from "./replicated-log.ts";
import { logRecovery } from "./storage/log-recovery.ts";
import { observeSync } from "./storage/observe-sync.ts";
import { openOnFullDisk, openReserve } from "./storage/open-reserve.ts";
import { RowsTransfer } from "./storage/rows-transfer.ts";
import { SegmentStorage } from "./storage/segment-storage.ts";
import { SettlingSpace } from "./storage/settling-space.ts";
import { StableState } from "./storage/stable-state.ts";
import { LogTime } from "./time/log-time.ts";

export class Replica implements AsyncDisposable {
  readonly identity: NodeIdentity;
  readonly storedLog: SegmentedLog;
  readonly log: ReplicatedLog;
  readonly state: StableState;
  readonly boots: BootRecords;
  /** The rows of named logs on their way between nodes. */
  readonly rows: RowsTransfer;
  readonly watch: LeaderWatch;
  readonly time: LogTime;
  /** Resolves when the log has failed. The process should then exit with a code other than 0. */
  readonly failed: Promise<Fault>;
  readonly #options: ReplicaOptions;
  readonly #storage: SegmentStorage;
  readonly #appender: Appender;
  readonly #maintenance: Maintenance;
  readonly #reserve: Reserve | undefined;
  readonly #settleReserve = new SettlingSpace();
  readonly #diskRefusalListeners = new Set<() => void>();
  readonly #listeners = new Set<(status: NodeStatus) => void>();
  readonly #peerFaults: PeerFaultLog;
  readonly #resolveFailed: (fault: Fault) => void;
  /** What this node waits for before it joins a cluster, if anything. Set by the owner of the replica. */
  waitingFor: string | undefined;
  #node: RaftNode | undefined;
  #settledTerm = 0;
  #membershipFault: Fault | undefined;
  #isOpen = false;
  #hasFailed = false;
  #closed: Promise<void> | undefined;

  /**
   * Opens and recovers the log. Nothing runs before start().
   * @throws Fault "config" for invalid settings, and what SegmentedLog.open throws
   */
  static open(options: ReplicaOptions): Replica {
    checkSettings(options.settings);
    return new Replica(options);
  }

  private constructor(options: ReplicaOptions) {
    this.#options = options;
    const { clock, random, store, sync = "always", logger = noLogger } = options;
    const logOptions: SegmentedLogOptions = {
      ...options,
      unsynced: sync !== "always",
      settleReserve: this.#settleReserve,
      onRefusal: () => this.#diskRefused(),
      // The call that failed ends first. A log that fails while it is opened throws.
      onFailure: (cause) =>
        clock.soon(() => {
          if (this.#isOpen) this.#stopAfter(cause);
        }),
    };
    const log = openOnFullDisk({ ...options, logger }, () => SegmentedLog.open(logOptions));
    this.time = options.time ?? new LogTime(clock, logger);
    this.storedLog = log;
    this.rows = new RowsTransfer(log);
    [this.#peerFaults, this.state] = [new PeerFaultLog(logger), new StableState(store)];
    this.time.begin(log.end.timestampMs, this.state);
    const text = directoryText(log.directoryId);
    this.identity = { name: options.name, directory: text, peer: peerIdOf(log.directoryId) };
    this.#settleReserve.open(options, log.settler?.settles === true);
    this.#reserve = openReserve({ ...options, logger, onFull: () => this.#diskRefused() });
    this.#storage = this.#createStorage(sync);
    this.#appender = new Appender({
      ...{ log, clock, time: this.time, reserve: this.#reserve, quotas: options.quotas },
      ...{ logger, slowAppendMs: options.slowAppendMs },
      ...(options.queue === undefined ? {} : { limits: options.queue }),
    });
    const failed = Promise.withResolvers<Fault>();
    this.failed = failed.promise;
    this.#resolveFailed = failed.resolve;
    this.watch = new LeaderWatch({
      clock,
      ready: () => this.#appender.ready,
      leads: () => this.#node?.isLeader === true,
      leaderName: () => this.#node?.leader?.name,
    });
    this.log = this.#createReplicatedLog(sync);
    this.#maintenance = this.#createMaintenance();
    this.#beginLifeAfterRepair();
    const unsynced = sync !== "always";
    const claim = startBoot({ log, state: this.state, random, reserve: this.#reserve, unsynced });
    this.boots = new BootRecords(claim, this.state);
    logRecovery(log.recovery, sync, logger);
    this.#isOpen = true;
  }

  #createStorage(sync: SyncMode): SegmentStorage {
    const { clock, disk, directory, telemetry } = this.#options;
    const policy = this.#options.syncPolicy ?? SyncPolicy.measure(disk, clock, directory);
    if (telemetry !== undefined && sync === "always") observeSync(telemetry.metrics, policy);
    return new SegmentStorage({
      log: this.storedLog,
      state: this.state,
      clock,
      time: this.time,
      sync,
      policy,
      reserve: this.#reserve,
    });
  }

  #createReplicatedLog(sync: SyncMode): ReplicatedLog {
    const { clock, disk, directory, forwarder } = this.#options;
    return new ReplicatedLog({
      log: this.storedLog,
      node: () => this.#node,
      appender: this.#appender,
      watch: this.watch,
      membershipFault: () => this.membershipFault,
      waitingFor: () => this.waitingFor,
      belongs: () => this.configured || this.state.clusterId !== undefined,
      ...{ clock, disk, directory, sync, forwarder },
      random: () => this.#options.random.float(),
      expiryMs: () => this.time.expiryMs(),
      membersWithout: (level) => this.#options.membersWithout?.(level) ?? [],
    });
  }

  #createMaintenance(): Maintenance {
    const membersWithout = (level: number) => this.#options.membersWithout?.(level) ?? [];
    const { level: cluster } = this.log.named.admin;
    const level = new SettledLevel({ log: this.storedLog, level: cluster, membersWithout });
    return new Maintenance({
      raiseLevel: () => level.raise(),
      log: this.storedLog,
      clock: this.#options.clock,
      time: this.time,
      leads: () => this.#appender.ready,
      trim: (before) => void this.log.trim(before).catch(() => undefined),
      keepAfter: () => this.#keepAfter(),
      failed: (reason) => this.#stopAfter(reason),
    });
  }

  /** The Raft node. Exists only after start(). */
  get node(): RaftNode {
    assert(this.#node !== undefined, "not started");
    return this.#node;
  }

  get started(): boolean {
    return this.#node !== undefined;
  }

  /** True if this directory has a configuration: it belongs to a cluster and needs no bootstrap. */
  get configured(): boolean {
    return this.state.configured;
  }

  /** True if this node is the leader and ready to append. */
  get ready(): boolean {
    return this.#appender.ready;
  }

  /**
   * Why this node is not a member of its cluster and takes no writes, if so. Its tails end as "unavailable" once they have
   * shown all records that it has. Set by the owner of the replica.
   */
  get membershipFault(): Fault | undefined {
    return this.#membershipFault;
  }

  set membershipFault(fault: Fault | undefined) {
    this.#membershipFault = fault;
    this.storedLog.committed.notifyAll();
  }

  /** The quotas of named logs, as this node decides them while it leads. */
  get quotas(): LogQuotas {
    return this.#appender.admission.quotas;
  }

  /** Fault "disk-full" or "disk-busy" while this node's disk refuses records. Each read checks the disk again. */
  get diskRefusal(): Fault | undefined {
    return this.#appender.disk.refusal;
  }

  /** This node as a member of an initial configuration. */
  get member(): Member {
    return { ...this.identity, address: this.#options.address };
  }

  /**
   * Stores the initial configuration of a cluster, and the cluster's id if it is given. Every node of the initial
   * configuration must get the same one, once, before it starts. A log that was restored bootstraps alone, and begins
   * another life.
   * @throws Fault "failed-precondition" if this node belongs to a cluster already
   */
  bootstrap(members: readonly Member[], clusterId?: string): void {
    if (this.#node !== undefined || this.configured) {
      throw new Fault("failed-precondition", { message: "this node belongs to a cluster already" });
    }
    const configuration = initialConfiguration(members);
    this.#beginLife();
    this.state.bootstrap(configuration, clusterId);
  }

  #beginLife(): void {
    const random = this.#options.random.stream("life");
    beginLife(this.storedLog, () => random.float());
  }

  /** A repair may have cut entries that no other node has. */
  #beginLifeAfterRepair(): void {
    const { voters, votersOutgoing } = this.state.configurationAt(this.storedLog.end.index);
    const isAlone = voters.length === 1 && voters[0] === this.identity.peer && votersOutgoing.length === 0;
    if (this.state.isRepaired && isAlone) this.#beginLife();
  }

  /** Calls back on every change of role, term, leader or configuration, until the returned function is called. */
  onChange(listener: (status: NodeStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back when this node's disk begins to refuse records (see diskRefusal), until the returned function is called. */
  onDiskRefusal(listener: () => void): () => void {
    this.#diskRefusalListeners.add(listener);
    return () => this.#diskRefusalListeners.delete(listener);
  }

  #diskRefused(): void {
    const refusal = this.storedLog?.refusal;
    if (refusal !== undefined) this.#logger.warn({ err: refusal }, refusal.message);
    for (const listener of this.#diskRefusalListeners) listener();
  }

  /** Starts Raft. The only voter becomes leader at once. */
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
      onPeerFault: (why, message) => this.#peerFaults.report(why, message, this.node),
      onChange: (status) => this.#changed(status),
      onHandOver: () => this.watch.notify(),
      onFailure: (cause) => this.#logFailed(cause),
    });
    this.#node = node;
    this.#appender.attach(appenderNodeOf(node));
    node.start();
    const { voters } = node.configuration;
    if (voters.length === 1 && voters[0] === this.identity.peer) node.campaign();
    this.#maintenance.schedule();
    this.log.named.retention.start();
  }

  /** Closes the replica. Appends in flight fail with an unknown outcome. May be called again. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#maintenance.close();
      this.log.named.retention.close();
      this.#appender.close();
      await this.#node?.close();
      await this.#storage.close();
      this.storedLog.close();
      await this.storedLog.rows.settled();
      await this.storedLog.settler?.ended();
      // Wakes the appends that wait for a leader: they fail now.
      this.watch.notify();
    })();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #machine(): StateMachine {
    const log = this.storedLog;
    return {
      apply: (entries) => {
        log.commitTo(entries[entries.length - 1]!.index);
        this.#maintenance.schedule();
        if (this.node.isLeader) this.#firstEntryOfTermApplied();
      },
      configure: (entry, configuration) => {
        this.#storage.saveConfiguration(entry.index, configuration);
        log.commitTo(entry.index);
        this.#notifyListeners();
      },
      restore: () => this.#notifyListeners(),
      gather: () => this.#appender.gather(),
    };
  }

  /** Lets appends in and replicates this node's settings, once in each term that it leads. */
  #firstEntryOfTermApplied(): void {
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
    this.#notifyListeners();
  }

  #notifyListeners(): void {
    this.watch.notify();
    const status = this.node.status();
    for (const listener of this.#listeners) listener(status);
  }

  /** The last index that every live follower has, as far as this node knows. */
  #keepAfter(): number {
    const { progress } = this.node.status();
    let keep = this.storedLog.commitIndex;
    for (const { active, match } of progress?.values() ?? []) if (active) keep = Math.min(keep, match);
    return keep;
  }

  /** The log has failed in work that Raft does not wait for. */
  #stopAfter(cause: unknown): void {
    void this.#node?.close();
    this.#logFailed(cause);
  }

  /** Fails the queued appends and resolves `failed`, with the fault of damaged data if that is the cause. */
  #logFailed(cause: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const damage = cause instanceof Fault && cause.kind === "corrupt" ? cause : undefined;
    const fault =
      this.storedLog.failure ??
      damage ??
      new Fault("disk-failed", { message: "the log has failed", written: "unknown", cause });
    this.#appender.fail(new Fault("disk-failed", { cause }));
    this.#logger.error({ err: cause }, "the log has failed: nothing is written any more");
    this.#resolveFailed(fault);
  }

  get #logger(): Logger {
    return this.#options.logger ?? noLogger;
  }
}
