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
import type { Clock } from "../lib/clock.ts";
import type { Disk } from "../lib/disk.ts";
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
  BatchSlice,
  Bounds,
  CommitLog,
  Freshness,
  LogDescription,
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../vocabulary.ts";
import { type Appender, checkRun } from "./appender.ts";
import { FreshnessGate } from "./freshness.ts";
import type { LeaderWatch } from "./leader-watch.ts";

/** Sends a call to the leader. Rejects with a Fault that says whether the write may have happened. */
export interface Forwarder {
  append(leader: string, run: RecordRun, options: AppendOptions): Promise<Appended>;
  trim(leader: string, before: Offset, options: AppendOptions): Promise<Offset>;
}

export interface ReplicatedLogOptions {
  readonly log: SegmentedLog;
  /** Undefined before it was started. */
  readonly node: () => RaftNode | undefined;
  readonly appender: Appender;
  readonly watch: LeaderWatch;
  readonly forwarder: Forwarder;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly directory: string;
  readonly sync: SyncMode;
}

/** How long a write waits for a leader when it came without a deadline. */
const leaderWaitMsMax = 4_000;
/** Near the deadline an appended record is reported even if this node has not applied it yet. */
const answerMarginMs = 20;
const attemptsMax = 5;

export class ReplicatedLog implements CommitLog {
  readonly log: SegmentedLog;
  readonly #options: ReplicatedLogOptions;
  readonly #appender: Appender;
  readonly #gate: FreshnessGate;

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
  }

  append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    try {
      if (this.#appender.ready) return this.#appender.append(run, options);
      checkRun(run, options.producer?.subject);
      this.#checkUsable();
      // The caller's memory is its own again when this returns.
      const copy = { bytes: Uint8Array.from(run.bytes), count: run.count };
      return this.#elsewhere(
        options,
        () => this.#appender.append(copy, options),
        async (leader) => {
          const appended = await this.#options.forwarder.append(leader, copy, options);
          const next = appended.firstOffset + appended.count;
          await this.#seenHere((bounds) => bounds.next >= next, options);
          return appended;
        },
      );
    } catch (fault) {
      return Promise.reject(fault as Error);
    }
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
    this.#checkUsable();
    if (this.#appender.ready) return this.#trimHere(before);
    return this.#elsewhere(
      options,
      () => this.#trimHere(before),
      async (leader) => {
        const lowest = await this.#options.forwarder.trim(leader, before, options);
        await this.#seenHere((bounds) => bounds.lowest >= lowest, options);
        return lowest;
      },
    );
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

  /**
   * Where this node is not the leader, or not yet ready: waits for a leader, then here or there. What certainly was
   * not written is tried again; what may have been, only with a producer's sequence, which makes of two appends one.
   */
  async #elsewhere<T>(
    options: AppendOptions,
    here: () => Promise<T>,
    there: (leader: string) => Promise<T>,
  ): Promise<T> {
    const { clock, node, watch } = this.#options;
    if (node() === undefined) {
      throw new Fault("unavailable", { message: "this node takes part in no cluster yet" });
    }
    const patience = clock.monotonicMs() + leaderWaitMsMax;
    const until = Math.min(options.deadlineMs ?? patience, patience);
    let undecided: Fault | undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        if (attempt > 1) await watch.changed(Math.min(until, clock.monotonicMs() + 100 * (attempt - 1)));
        const leader = await watch.leader(until);
        if (leader === "here") return await here();
        if (options.forward === false) throw notLeader(node());
        return await there(leader);
      } catch (reason) {
        const fault = Fault.from(reason);
        if (fault.written === "unknown") undecided ??= fault;
        const late = attempt >= attemptsMax || clock.monotonicMs() >= until;
        if (options.forward === false) throw fault;
        if (late || !mayRetry(fault, options)) throw outcome(fault, undecided);
      }
    }
  }

  /** The answer of a forwarded write waits until this node shows it, or the caller's time is up. */
  async #seenHere(holds: (bounds: Bounds) => boolean, options: AppendOptions): Promise<void> {
    const { clock } = this.#options;
    const patience = clock.monotonicMs() + leaderWaitMsMax;
    const deadlineMs = Math.min(options.deadlineMs ?? patience, patience) - answerMarginMs;
    await this.#gate.until(holds, { deadlineMs }).catch(() => undefined);
  }

  /** The only voter, leading, holds all there is. One that leads still but has left its group does not. */
  get #alone(): boolean {
    const node = this.#options.node();
    if (node === undefined || !this.#appender.ready) return false;
    const { voters, votersOutgoing } = node.configuration;
    return voters.length === 1 && voters[0] === node.peer && votersOutgoing.length === 0;
  }

  #checkUsable(): void {
    if (this.log.failure !== undefined) throw new Fault("disk-failed", { cause: this.log.failure });
    if (this.log.closed) throw new Fault("unavailable", { message: "the log is closed" });
  }
}

function notLeader(node: RaftNode | undefined): Fault {
  const leader = node?.leader;
  return leader === undefined
    ? new Fault("unavailable", { message: "there is no leader" })
    : new Fault("not-leader", { facts: { leader: leader.name, address: leader.address } });
}

/** Not leading any more, or not reached: another may lead by now. Lost on the way: only what a producer numbers. */
function mayRetry(fault: Fault, { producer }: AppendOptions): boolean {
  if (fault.written === "unknown") return producer !== undefined && fault.kind === "unknown";
  return fault.kind === "not-leader" || fault.kind === "unavailable";
}

/**
 * How a write that was tried more than once has failed. One attempt that may have been written makes all of it so,
 * whatever the last one came to. A caller that asked for forwarding need not know who was not the leader.
 */
function outcome(fault: Fault, undecided: Fault | undefined): Fault {
  if (undecided !== undefined && fault.written === "no") {
    return new Fault(fault.kind === "deadline" ? "deadline" : "unknown", {
      message: "it was sent to a leader that did not answer, and could not be sent again",
      written: "unknown",
      cause: new AggregateError([undecided, fault]),
    });
  }
  if (fault.kind !== "not-leader") return fault;
  return new Fault("unavailable", { message: "the leader is changing", cause: fault });
}
