/**
 * The replicated log: a CommitLog on every node of a cluster, of one node or of many by the same path.
 *
 *   append   on the leader: gathered, proposed, durable on a majority, applied, answered (appender)
 *            elsewhere: forwarded to the leader once, answered when applied here too
 *   read     what is here at once; a miss as fresh as was asked for (freshness)
 *
 * Never: shows what is not committed; says "not written" of what may yet be.
 */
import { Fault } from "../fault.ts";
import type { Disk } from "../lib/disk/disk.ts";
import type { Clock } from "../lib/time/clock.ts";
import {
  batchKind,
  checkSettings,
  encodeSettings,
  encodeTrim,
  type LogSettings,
  LogTail,
  outOfRange,
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
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../types.ts";
import { AppendStream, type AppendStreamPorts, leaderWaitMs } from "./append/append-stream.ts";
import type { Appender } from "./append/appender.ts";
import { checkRun } from "./append/check-run.ts";
import { ForwardLimiter } from "./append/forward-limiter.ts";
import { ForwardedAppends } from "./append/forwarded-appends.ts";
import { ProducedRunWatch } from "./append/produced-run-watch.ts";
import { finalFault } from "./append/retry-decision.ts";
import { FreshnessGate } from "./freshness-gate.ts";
import { type LeaderWatch, noLeaderMessage } from "./leader-watch.ts";

/**
 * Sends a call to the leader. Rejects with a Fault that says whether the write may have happened. An abort of `signal`
 * ends the wait at once, with such a Fault as well.
 */
export interface Forwarder {
  append(leader: string, run: RecordRun, options: AppendOptions, signal?: AbortSignal): Promise<Appended>;
  trim(leader: string, before: Offset, options: AppendOptions, signal?: AbortSignal): Promise<Offset>;
}

export interface ReplicatedLogOptions {
  readonly log: SegmentedLog;
  /** Undefined before it was started. */
  readonly node: () => RaftNode | undefined;
  readonly appender: Appender;
  readonly watch: LeaderWatch;
  readonly forwarder: Forwarder;
  /** Why this node takes no writes, not even for others, if so. */
  readonly membershipFault?: () => Fault | undefined;
  /** What it waits for while it has no node yet, if that is known. */
  readonly waitingFor?: () => string | undefined;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly directory: string;
  readonly sync: SyncMode;
}

/** Near the deadline an appended record is reported even if this node has not applied it yet. */
const answerMarginMs = 20;
const trimAttemptsMax = 5;

export class ReplicatedLog implements CommitLog {
  readonly log: SegmentedLog;
  readonly #options: ReplicatedLogOptions;
  readonly #appender: Appender;
  readonly #gate: FreshnessGate;
  /** What other nodes have sent here. */
  readonly #line: ForwardedAppends;
  readonly #streams = new WeakMap<AppendOrder, AppendStream>();
  readonly #streamPorts: AppendStreamPorts;

  constructor(options: ReplicatedLogOptions) {
    this.#options = options;
    this.log = options.log;
    this.#appender = options.appender;
    this.#gate = new FreshnessGate({
      clock: options.clock,
      log: options.log,
      alone: () => this.#alone,
      readIndex: () =>
        options.node()?.readIndex() ?? Promise.reject(new Fault("unavailable", { message: "not started" })),
    });
    this.#line = new ForwardedAppends({
      clock: options.clock,
      append: (run, asked) => this.#appender.append(run, asked),
      ready: () => this.#appender.ready,
      leads: () => this.#unusable() === undefined && options.watch.known() === "here",
      notLeader: () => this.#unusable() ?? notLeader(options.node()),
    });
    const produced = new ProducedRunWatch();
    options.log.onProduced((stamp, batch) => produced.committed(stamp, batch));
    this.#streamPorts = {
      clock: options.clock,
      watch: options.watch,
      term: () => options.node()?.term ?? 0,
      appendHere: (run, asked) => this.#appender.append(run, asked),
      forward: (leader, run, asked, signal) => options.forwarder.append(leader, run, asked, signal),
      visibleHere: ({ firstOffset, count }, asked) =>
        this.#seenHere((bounds) => bounds.next >= firstOffset + count, asked),
      limiter: new ForwardLimiter(),
      produced,
      notLeader: () => notLeader(options.node()),
      unusable: () => this.#unusable(),
    };
  }

  append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    const { order, producer, forward } = options;
    try {
      if (order === undefined && this.#appender.ready) return this.#here(run, options);
      checkRun(run, producer?.subject);
      const fault = this.#unusable();
      if (fault !== undefined) throw fault;
      if (forward === false && order === undefined) {
        // The caller's memory is its own again when this returns.
        const copy = { bytes: new Uint8Array(run.bytes), count: run.count };
        return this.#onLeader(options, () => this.#here(copy, options));
      }
      return this.#streamOf(order).append(run, options);
    } catch (fault) {
      return Promise.reject(fault as Error);
    }
  }

  /** An append of its own, without an order, on this node, which is ready. Throws Fault. */
  #here(run: RecordRun, options: AppendOptions): Promise<Appended> {
    return options.forwarded === true ? this.#line.append(run, options) : this.#appender.append(run, options);
  }

  #streamOf(order: AppendOrder | undefined): AppendStream {
    if (order === undefined) return new AppendStream(this.#streamPorts);
    const known = this.#streams.get(order);
    if (known !== undefined) return known;
    const stream = new AppendStream(this.#streamPorts, order);
    this.#streams.set(order, stream);
    return stream;
  }

  async read(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    if (offset >= this.log.bounds.next) await this.#gate.beforeMiss(freshness);
    return this.log.reader.read(offset);
  }

  async bounds(freshness: Freshness = {}): Promise<Bounds> {
    await this.#gate.beforeBounds(freshness);
    return this.log.bounds;
  }

  async seek(start: ReadStart, freshness: Freshness = {}): Promise<Offset> {
    await this.#gate.beforeBounds(freshness);
    if ("offset" in start) {
      if (start.offset < this.log.bounds.lowest) throw outOfRange(start.offset, this.log.bounds);
      if (start.offset > this.log.bounds.next) await this.#gate.beforeMiss(freshness);
      return start.offset;
    }
    const { lowest, next } = this.log.bounds;
    if ("fromTimeMs" in start) return this.log.reader.seekTime(start.fromTimeMs);
    if ("last" in start) return Math.max(lowest, next - start.last);
    return next;
  }

  follow(offset: Offset): Tail {
    return new LogTail(this.log, offset);
  }

  async trim(before: Offset, options: AppendOptions = {}): Promise<Offset> {
    const fault = this.#unusable();
    if (fault !== undefined) throw fault;
    if (this.#appender.ready) return this.#trimHere(before);
    if (options.forward === false) return this.#onLeader(options, () => this.#trimHere(before));
    return this.#trimElsewhere(before, options);
  }

  async describe(): Promise<LogDescription> {
    const segments = this.log.describeSegments();
    let bytes = 0;
    for (const segment of segments) bytes += segment.bytes;
    const { disk, directory, sync } = this.#options;
    return {
      ...this.log.bounds,
      bytes,
      segments,
      sync: syncModeText(sync),
      diskFreeBytes: disk.freeBytes(directory),
    };
  }

  /** Makes the replicated settings these, where they are not. Only on a leader; Fault "not-leader" elsewhere. */
  async settle(settings: LogSettings): Promise<void> {
    checkSettings(settings);
    if (!this.#appender.ready) throw new Fault("not-leader");
    if (sameSettings(this.log.state.settings, settings)) return;
    await this.#appender.command(batchKind.settings, encodeSettings(settings));
  }

  async #trimHere(before: Offset): Promise<Offset> {
    const { lowest, next } = this.log.bounds;
    if (before > next) throw outOfRange(before, this.log.bounds);
    if (before > lowest) await this.#appender.command(batchKind.trim, encodeTrim(before));
    return this.log.bounds.lowest;
  }

  /** Waits until this node is ready to append, and does it then. Fault "not-leader" where another node leads. */
  async #onLeader<T>(options: AppendOptions, work: () => Promise<T>): Promise<T> {
    const leader = await this.#options.watch.leader(this.#waitUntilMs(options));
    if (leader !== "here") throw notLeader(this.#options.node());
    return work();
  }

  /** A trim may be repeated in any case: a second one does nothing. So it goes to each new leader at once. */
  async #trimElsewhere(before: Offset, options: AppendOptions): Promise<Offset> {
    const { clock, watch, forwarder } = this.#options;
    const until = this.#waitUntilMs(options);
    let undecided: Fault | undefined;
    for (let attempt = 1; ; attempt++) {
      const replaced = new AbortController();
      let stop = (): void => {};
      try {
        if (attempt > 1) await watch.changed(Math.min(until, clock.monotonicMs() + 100 * (attempt - 1)));
        const leader = await watch.leader(until);
        if (leader === "here") return await this.#trimHere(before);
        stop = watch.listen(() => {
          const known = watch.known();
          if (known !== undefined && known !== leader) replaced.abort();
        });
        const lowest = await forwarder.trim(leader, before, options, replaced.signal);
        await this.#seenHere((bounds) => bounds.lowest >= lowest, options);
        return lowest;
      } catch (reason) {
        const fault = Fault.from(reason);
        if (fault.written === "unknown") undecided ??= fault;
        const isLate = attempt >= trimAttemptsMax || clock.monotonicMs() >= until;
        const mayRepeat = ["not-leader", "unavailable", "interrupted", "unknown"].includes(fault.kind);
        if (isLate || !mayRepeat) throw finalFault(fault, undecided);
      } finally {
        stop();
      }
    }
  }

  /** Until when a write waits for a leader. */
  #waitUntilMs({ deadlineMs }: AppendOptions): number {
    const until = this.#options.clock.monotonicMs() + leaderWaitMs;
    return Math.min(deadlineMs ?? until, until);
  }

  /** The answer of a forwarded write waits until this node shows it, or the caller's time is up. */
  async #seenHere(holds: (bounds: Bounds) => boolean, options: AppendOptions): Promise<void> {
    if (holds(this.log.bounds)) return;
    const deadlineMs = this.#waitUntilMs(options) - answerMarginMs;
    await this.#gate.until(holds, { deadlineMs }).catch(() => undefined);
  }

  /** The only voter, leading, holds all there is. One that leads still but has left its group does not. */
  get #alone(): boolean {
    const node = this.#options.node();
    if (node === undefined || !this.#appender.ready) return false;
    const { voters, votersOutgoing } = node.configuration;
    return voters.length === 1 && voters[0] === node.peer && votersOutgoing.length === 0;
  }

  /** Why this node takes no writes at all, if so. */
  #unusable(): Fault | undefined {
    const membershipFault = this.#options.membershipFault?.();
    if (membershipFault !== undefined) return membershipFault;
    if (this.log.failure !== undefined) return new Fault("disk-failed", { cause: this.log.failure });
    if (this.log.closed) return new Fault("unavailable", { message: "the log is closed" });
    if (this.#options.node() !== undefined) return undefined;
    const why = this.#options.waitingFor?.();
    const message = `this node takes part in no cluster yet${why === undefined ? "" : `: ${why}`}`;
    return new Fault("unavailable", { message });
  }
}

function notLeader(node: RaftNode | undefined): Fault {
  const leader = node?.leader;
  return leader === undefined
    ? new Fault("unavailable", { message: noLeaderMessage })
    : new Fault("not-leader", { facts: { leader: leader.name, address: leader.address } });
}
