/**
 * The replicated log: the CommitLog of every node, in a cluster of one node or of many.
 *
 *   append   on the leader: queued, proposed, durable on a majority, applied, resolved (Appender)
 *            elsewhere: forwarded to the leader, resolved when applied on this node too (AppendStream)
 *   read     a record that this node has, at once; any other read as fresh as requested (FreshnessGate)
 *
 * Only committed records are visible. An append that may still be written is never reported as not written.
 */
import { Fault } from "../fault.ts";
import type { Disk } from "../lib/disk/disk.ts";
import type { Clock } from "../lib/time/clock.ts";
import {
  batchKind,
  checkSettings,
  defaultBytesOf,
  encodeSettings,
  type LogSettings,
  type SegmentedLog,
  type SyncMode,
  sameSettings,
  syncModeText,
} from "../log/mod.ts";
import type { RaftNode } from "../raft/mod.ts";
import type {
  Appended,
  AppendOptions,
  AppendOrder,
  BatchSlice,
  Bounds,
  CommitLog,
  Freshness,
  LogDescription,
  LogId,
  LogRef,
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../types.ts";
import { AppendStream, type AppendStreamPorts, leaderWaitMs } from "./append/append-stream.ts";
import type { Appender } from "./append/appender.ts";
import { checkRun } from "./append/check-run.ts";
import { CheckedOrder } from "./append/checked-order.ts";
import { ForwardLimiter } from "./append/forward-limiter.ts";
import { ForwardedAppends } from "./append/forwarded-appends.ts";
import { ProducedRunWatch } from "./append/produced-run-watch.ts";
import type { Forwarder } from "./forwarder.ts";
import { FreshnessGate, type FreshnessPorts } from "./freshness-gate.ts";
import { type LeaderWatch, notLeader } from "./leader-watch.ts";
import { LogReads, tailedLog } from "./log-reads.ts";
import { NamedLogs } from "./logs/named-logs.ts";
import { Trimmer } from "./trimmer.ts";

export interface ReplicatedLogOptions {
  readonly log: SegmentedLog;
  /** Returns undefined before the start of the node. */
  readonly node: () => RaftNode | undefined;
  readonly appender: Appender;
  readonly watch: LeaderWatch;
  readonly forwarder: Forwarder;
  /** Returns why this node takes no writes, not even forwarded ones, and gets no more records, if so. */
  readonly membershipFault?: () => Fault | undefined;
  /** Returns what the node waits for before its start, if known. */
  readonly waitingFor?: () => string | undefined;
  /** Returns true if the directory belongs to a cluster. Default true. */
  readonly belongs?: () => boolean;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly directory: string;
  readonly sync: SyncMode;
  readonly random: () => number;
  /** The time for expiry; undefined while no clock is trusted. */
  readonly expiryMs: () => number | undefined;
  /** The members that do not have this level, or are not connected. Default none. */
  readonly membersWithout?: (level: number) => readonly string[];
}

/** This long before the deadline, a forwarded write resolves even if this node has not applied it yet. */
const deadlineMarginMs = 20;

export class ReplicatedLog implements CommitLog {
  readonly log: SegmentedLog;
  readonly #options: ReplicatedLogOptions;
  readonly #appender: Appender;
  readonly #gate: FreshnessGate;
  /** Appends that other nodes have forwarded to this one. */
  readonly #forwarded: ForwardedAppends;
  readonly #trimmer: Trimmer;
  readonly #checked = new CheckedOrder();
  readonly #streams = new WeakMap<AppendOrder, AppendStream>();
  readonly #streamPorts: AppendStreamPorts;
  readonly #reads: LogReads;
  /** The named logs of the cluster. */
  readonly named: NamedLogs;

  constructor(options: ReplicatedLogOptions) {
    this.#options = options;
    this.log = options.log;
    this.#appender = options.appender;
    this.#gate = this.#newGate(options.log);
    this.#forwarded = new ForwardedAppends({
      clock: options.clock,
      append: (run, asked) => this.#appender.append(run, asked),
      ready: () => this.#appender.ready,
      leads: () => this.#unusable() === undefined && options.watch.known() === "here",
      notLeader: () => this.#unusable() ?? notLeader(options.node()),
    });
    this.#trimmer = new Trimmer({
      log: options.log,
      appender: options.appender,
      clock: options.clock,
      watch: options.watch,
      forward: (leader, before, asked, signal) => options.forwarder.trim(leader, before, asked, signal),
      trimNamed: (ref, before, deadlineMs) => this.named.admin.trim(ref, before, deadlineMs),
      resolved: (ref, deadlineMs) => this.named.resolved(ref, deadlineMs),
      visibleHere: (lowest, asked) => this.#visibleHere(() => this.#isTrimmed(asked.log?.id, lowest), asked),
    });
    this.#streamPorts = this.#createStreamPorts();
    const cutOff = (): Fault | undefined => this.#cutOff();
    this.#reads = new LogReads(tailedLog(options.log, cutOff), options.log.reader, this.#gate);
    this.named = this.#createNamedLogs(cutOff);
  }

  #createNamedLogs(cutOff: () => Fault | undefined): NamedLogs {
    const { clock, expiryMs, log, random, membersWithout = () => [], forwarder } = this.#options;
    return new NamedLogs({
      ...{ clock, expiryMs, log },
      appender: this.#appender,
      cutOff,
      newGate: (view) => this.#newGate(view),
      confirm: (freshness) => this.#gate.confirm(freshness),
      beforeName: (freshness) => this.#gate.beforeName(freshness),
      append: (run, asked) => this.append(run, asked),
      trim: (ref, before, asked) => this.trim(before, { ...asked, log: ref }),
      describe: () => this.describe(),
      membersWithout,
      random,
      onLeader: (here, there, asked) => this.#anywhere(here, there, asked),
      forward: (leader, change, asked, signal) => forwarder.changeLog(leader, change, asked, signal),
      visibleHere: (holds, asked) => this.#visibleHere(holds, asked),
    });
  }

  #createStreamPorts(): AppendStreamPorts {
    const { clock, forwarder, log, node, watch } = this.#options;
    const produced = new ProducedRunWatch();
    log.onProduced((stamp, batch) => produced.committed(stamp, batch));
    return {
      clock,
      watch,
      term: () => node()?.term ?? 0,
      appendHere: (run, asked) => this.#appender.append(run, asked),
      forward: (leader, run, asked, signal) => forwarder.append(leader, run, asked, signal),
      visibleHere: ({ firstOffset, count, logId }, asked) =>
        this.#visibleHere(() => this.#shows(logId, firstOffset + count), asked),
      limiter: new ForwardLimiter(),
      produced,
      notLeader: () => notLeader(node()),
      unusable: () => this.#unusable(),
    };
  }

  append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    const { log, order } = options;
    const isSentNow = log === undefined ? !this.#checked.isWaiting(order) : log.id !== 0;
    if (isSentNow) return this.#append(run, options);
    try {
      checkRun(run, options);
    } catch (fault) {
      return Promise.reject(fault as Error);
    }
    const copy = { bytes: new Uint8Array(run.bytes), count: run.count };
    const { log: _, ...rest } = options;
    const check = (): Promise<void> => this.#checkLife(log, options);
    return this.#checked.append(order, check, () => this.#append(copy, rest));
  }

  takesWhole(run: RecordRun, options: AppendOptions): boolean {
    const { log, order } = options;
    if (log === undefined ? this.#checked.isWaiting(order) : log.id === 0) return false;
    const isDirect = order === undefined || this.#streamOf(order).isDirect;
    return isDirect && this.#unusable() === undefined && this.#appender.takesWhole(run, options);
  }

  /** Appends without a look at the stated life of `default`. */
  #append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    const { order, forward } = options;
    try {
      if (order === undefined && this.#appender.ready) return this.#appendHere(run, options);
      checkRun(run, options);
      const fault = this.#unusable();
      if (fault !== undefined) throw fault;
      if (forward === false && order === undefined) {
        // The caller may reuse its memory when this returns.
        const copy = { bytes: new Uint8Array(run.bytes), count: run.count };
        return this.#onLeader(options, () => this.#appendHere(copy, options));
      }
      return this.#streamOf(order).append(run, options);
    } catch (fault) {
      return Promise.reject(fault as Error);
    }
  }

  /** Appends without an order on this node, which is ready. Throws Fault. */
  #appendHere(run: RecordRun, options: AppendOptions): Promise<Appended> {
    return options.forwarded === true
      ? this.#forwarded.append(run, options)
      : this.#appender.append(run, options);
  }

  #streamOf(order: AppendOrder | undefined): AppendStream {
    if (order === undefined) return new AppendStream(this.#streamPorts);
    const known = this.#streams.get(order);
    if (known !== undefined) return known;
    const stream = new AppendStream(this.#streamPorts, order);
    this.#streams.set(order, stream);
    return stream;
  }

  read(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    return this.#reads.read(offset, freshness);
  }

  readRecord(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    return this.#reads.readRecord(offset, freshness);
  }

  recordBytes(offset: Offset): number {
    return this.#reads.recordBytes(offset);
  }

  bounds(freshness: Freshness = {}): Promise<Bounds> {
    return this.#reads.bounds(freshness);
  }

  seek(start: ReadStart, freshness: Freshness = {}): Promise<Offset> {
    return this.#reads.seek(start, freshness);
  }

  follow(offset: Offset): Tail {
    return this.#reads.follow(offset);
  }

  async trim(before: Offset, options: AppendOptions = {}): Promise<Offset> {
    const fault = this.#unusable();
    if (fault !== undefined) throw fault;
    const { log, forward, ...rest } = options;
    if (log?.id === 0) {
      await this.#checkLife(log, options);
      return this.trim(before, forward === undefined ? rest : { ...rest, forward });
    }
    if (this.#appender.ready) return this.#trimmer.trimHere(before, options);
    if (forward === false) return this.#onLeader(options, () => this.#trimmer.trimHere(before, options));
    return this.#trimmer.trimOnLeader(before, options, this.#waitUntilMs(options));
  }

  async describe(): Promise<LogDescription> {
    const segments = this.log.describeSegments();
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    const { disk, directory, sync } = this.#options;
    return {
      ...this.log.bounds,
      bytes,
      defaultBytes: defaultBytesOf(this.log.retained),
      segments,
      sync: syncModeText(sync),
      diskFreeBytes: disk.freeBytes(directory),
      space: this.log.settler?.space,
    };
  }

  /**
   * Replicates the settings, if they differ from the current ones.
   * @throws Fault "not-leader" if this node is not a leader that is ready
   */
  async settle(settings: LogSettings): Promise<void> {
    checkSettings(settings);
    if (!this.#appender.ready) throw new Fault("not-leader");
    if (sameSettings(this.log.state.settings, settings)) return;
    await this.#appender.command(batchKind.settings, encodeSettings(settings));
  }

  /**
   * Resolves once the stated life, if any, is known to be the present one.
   * @throws Fault "failed-precondition" for another life
   */
  async #checkLife(log: LogRef | undefined, { deadlineMs }: AppendOptions): Promise<void> {
    if (log?.life === undefined) return;
    await this.named.checkLife(log.life, deadlineMs === undefined ? {} : { deadlineMs });
  }

  /** Does the work on this node if it leads, otherwise on the leader. */
  async #anywhere<T>(
    here: () => Promise<T>,
    there: (leader: string) => Promise<T>,
    options: AppendOptions,
  ): Promise<T> {
    const fault = this.#unusable();
    if (fault !== undefined) throw fault;
    if (this.#appender.ready) return here();
    if (options.forward === false) return this.#onLeader(options, here);
    const leader = await this.#options.watch.leader(this.#waitUntilMs(options));
    return leader === "here" ? here() : there(leader);
  }

  /**
   * Does the work when this node is the leader and ready.
   * @throws Fault "not-leader" if another node is the leader
   */
  async #onLeader<T>(options: AppendOptions, work: () => Promise<T>): Promise<T> {
    const leader = await this.#options.watch.leader(this.#waitUntilMs(options));
    if (leader !== "here") throw notLeader(this.#options.node());
    return work();
  }

  /** The time on the monotonic clock until which a write waits for a leader. */
  #waitUntilMs({ deadlineMs }: AppendOptions): number {
    const until = this.#options.clock.monotonicMs() + leaderWaitMs;
    return Math.min(deadlineMs ?? until, until);
  }

  /** Resolves when the condition holds after a commit here, and at the latest shortly before the deadline. */
  async #visibleHere(holds: () => boolean, options: AppendOptions): Promise<void> {
    if (holds()) return;
    const deadlineMs = this.#waitUntilMs(options) - deadlineMarginMs;
    await this.#gate.until(holds, { deadlineMs }).catch(() => undefined);
  }

  #newGate(log: FreshnessPorts["log"]): FreshnessGate {
    const { clock, node } = this.#options;
    return new FreshnessGate({
      clock,
      log,
      refusal: () => this.#strange(),
      place: () => ({ life: this.log.state.logs.life, index: this.log.commitIndex }),
      alone: () => this.#alone,
      readIndex: () =>
        node()?.readIndex() ?? Promise.reject(new Fault("unavailable", { message: "not started" })),
    });
  }

  /** Returns true if this node has applied the records of a log before `next`. Those of a log that was deleted are gone. */
  #shows(id: LogId | undefined, next: Offset): boolean {
    if (id === undefined) return this.log.bounds.next >= next;
    const { logs } = this.log.state;
    return (logs.row(id)?.next ?? 0) >= next || logs.wasDeleted(id);
  }

  /** Returns true if this node has applied a trim of a log. Without an id: of `default`. */
  #isTrimmed(id: LogId | undefined, lowest: Offset): boolean {
    if (id === undefined) return this.log.bounds.lowest >= lowest;
    const { logs } = this.log.state;
    return (logs.row(id)?.lowest ?? 0) >= lowest || logs.wasDeleted(id);
  }

  /** True if this node leads and is the only voter. A leader that was removed from the voters is not. */
  get #alone(): boolean {
    const node = this.#options.node();
    if (node === undefined || !this.#appender.ready) return false;
    const { voters, votersOutgoing } = node.configuration;
    return voters.length === 1 && voters[0] === node.peer && votersOutgoing.length === 0;
  }

  /**
   * Returns why this node gets no more records, if so. The fault is "unavailable" and not that of a write: another node can
   * serve the same read, and clients go there.
   */
  #cutOff(): Fault | undefined {
    const fault = this.#options.membershipFault?.();
    if (fault === undefined) return this.#strange();
    const { message, facts } = fault;
    return new Fault("unavailable", { message, facts, cause: fault });
  }

  /**
   * Returns why the log is not read, if so: it was restored, and no cluster has taken the node with it. The cluster that the node
   * is to join can have another history.
   */
  #strange(): Fault | undefined {
    const { node, belongs } = this.#options;
    if (node() !== undefined || this.log.end.index === 0 || belongs?.() !== false) return undefined;
    return this.#notYet();
  }

  /** Returns why this node takes no writes at all, if so. */
  #unusable(): Fault | undefined {
    const membershipFault = this.#options.membershipFault?.();
    if (membershipFault !== undefined) return membershipFault;
    if (this.log.failure !== undefined) return new Fault("disk-failed", { cause: this.log.failure });
    if (this.log.closed) return new Fault("unavailable", { message: "the log is closed" });
    return this.#options.node() === undefined ? this.#notYet() : undefined;
  }

  #notYet(): Fault {
    const why = this.#options.waitingFor?.();
    const message = `this node is not part of a cluster yet${why === undefined ? "" : `: ${why}`}`;
    return new Fault("unavailable", { message });
  }
}
