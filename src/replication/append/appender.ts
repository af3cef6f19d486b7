/**
 * A leader's appends: gathered into groups while earlier ones are on their way, proposed as the frames of one group,
 * answered when applied.
 *
 *   append → queue │ gather (a turn of Raft begins): propose → sealed → sent to followers, staged and written here
 *   → committed and applied → every caller is answered
 *
 * Whether an append is accepted (offset, producer sequence) is decided when it arrives, against the log's staged end plus
 * all groups that are not staged yet, proposed or queued. So when a group fails, all groups queued behind it fail with it,
 * as not written.
 *
 * A leader takes no appends before the first entry of its term is applied here: until then its log's state is not complete.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import {
  AppendQueue,
  appendResult,
  type BatchKind,
  batchRecordsMax,
  checkOffsetsLeft,
  frameBaseOffset,
  frameIndex,
  frameTimestampMs,
  isDraft,
  type QueuedGroup,
  type QueueLimits,
  type Reserve,
  runBytesMax,
  type SegmentedLog,
  subjectBytesMax,
} from "../../log/mod.ts";
import { type Entry, type ProposalWaiter, proposal } from "../../raft/mod.ts";
import type {
  Appended,
  AppendOptions,
  Offset,
  ProducerStamp,
  RaftIndex,
  RecordRun,
  Term,
} from "../../types.ts";
import type { LogTime } from "../time/log-time.ts";

/** The part of the Raft node that is needed here. */
export interface Proposer {
  readonly isLeader: boolean;
  /** A leader that hands over takes nothing: what comes waits for the next one. */
  readonly isHandingOver: boolean;
  readonly term: number;
  /** True if it is the only voter and there are no learners. */
  readonly alone: boolean;
  propose(entries: readonly Entry[], waiter: ProposalWaiter): Fault | undefined;
  wake(): void;
  /** Resolves once a majority has confirmed that this node led when it was asked. */
  confirm(): Promise<unknown>;
}

export interface AppenderOptions {
  readonly log: SegmentedLog;
  readonly clock: Clock;
  readonly time: Pick<LogTime, "expiryMs" | "stampMs">;
  readonly reserve: Reserve | undefined;
  readonly limits?: QueueLimits;
}

/**
 * Groups proposed and not yet applied. One where a commit waits only for this node's disk: a second would only make both
 * smaller. Two where the next one can be sent to followers in the meantime.
 */
const groupsInFlightMax = { alone: 1, together: 2 };
const noGroups: readonly QueuedGroup[] = [];
const deadlineLookMs = 50;
const defaultLimits: QueueLimits = { bytesMax: 32 * 1024 * 1024, appendsMax: 65_536 };

interface DeadlineWaiter {
  readonly deadlineMs: number | undefined;
}

export class Appender {
  readonly #log: SegmentedLog;
  readonly #clock: Clock;
  readonly #time: AppenderOptions["time"];
  readonly #reserve: Reserve | undefined;
  readonly #queue: AppendQueue;
  readonly #flight: Flight[] = [];
  #node: Proposer | undefined;
  #timer: Timer | undefined;

  constructor(options: AppenderOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#time = options.time;
    this.#reserve = options.reserve;
    this.#queue = new AppendQueue(options.limits ?? defaultLimits);
  }

  /** The node is made after what it drives. */
  attach(node: Proposer): void {
    this.#node = node;
  }

  /** May this node take appends now? */
  get ready(): boolean {
    const node = this.#node;
    if (node?.isLeader !== true || node.isHandingOver) return false;
    return this.#log.term(this.#log.commitIndex) === node.term;
  }

  /** Queues an append. The caller has seen that this node is ready. Throws Fault. */
  append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    const { producer, expectedOffset, deadlineMs, traceparent } = options;
    checkRun(run, producer?.subject);
    if (producer !== undefined) {
      let answered: Promise<Appended> | undefined;
      try {
        answered = this.#asBefore(run, producer, deadlineMs);
      } catch (verdict) {
        return this.#refused(undefined, () => verdict);
      }
      if (answered !== undefined) return answered;
    }
    if (expectedOffset !== undefined && expectedOffset !== this.#tailOffset()) {
      // Only once all before it is settled is the end certain, and committed.
      return this.#refused(this.#lastGroup(), () => offsetMismatch(expectedOffset, this.#log.bounds.next));
    }
    checkOffsetsLeft(this.#tailOffset(), run.count);
    if (this.#reserve?.open === false) throw this.#reserve.fault();
    // What was accepted before waits for the disk: more would only wait behind it.
    const refusal = this.#log.retryRefused();
    if (refusal !== undefined) throw refusal;
    const { group, place } = this.#queue.add(run, producer, expectedOffset !== undefined, traceparent);
    this.#node!.wake();
    return this.#wait(group, place, run.count, false, deadlineMs);
  }

  /** Appends a command of the log; resolves once it is applied. */
  command(kind: BatchKind, command: Uint8Array): Promise<void> {
    const group = this.#queue.addCommand(kind, command);
    this.#node!.wake();
    return this.#settled(group);
  }

  /** A turn of Raft begins: what waits is proposed, as far as it is time for it. */
  gather(): void {
    if (this.#queue.empty) return;
    const node = this.#node!;
    // It stays queued: given up, the handing over lets it go on; done, it fails as not written.
    if (node.isLeader && node.isHandingOver) return;
    if (!this.ready) {
      this.fail(new Fault("unavailable", { message: "this node does not lead any more" }));
      return;
    }
    const flightMax = node.alone ? groupsInFlightMax.alone : groupsInFlightMax.together;
    while (!this.#queue.empty && this.#flight.length < flightMax) {
      if (!this.#hasRoomForNext()) return;
      const group = this.#queue.take()!;
      const flight = new Flight(group, node.term, this);
      this.#flight.push(flight);
      this.#log.linkNextFlush(group.builder.traces);
      const refused = node.propose(
        flight.frames.map((frame) => proposal(frame)),
        flight,
      );
      if (refused !== undefined) flight.failed(refused);
    }
  }

  /** Refuses what waits, as not written, when the disk would not take the next group. */
  #hasRoomForNext(): boolean {
    const [next] = this.#queue.groups;
    // Commands may be how room is made: they are tried.
    if (next?.hasRecords !== true) return true;
    let [bytes, batches] = [0, 0];
    for (const { builder } of [...this.#unstaged, next]) {
      bytes += builder.usedBytes;
      batches += builder.batches;
    }
    const fault = this.#log.prepare(bytes, batches, this.#time.stampMs());
    if (fault === undefined) return true;
    if (fault.kind === "disk-full") this.#reserve?.filled();
    this.#queue.fail(fault);
    return false;
  }

  /** What was not proposed yet fails as not written. */
  fail(fault: Fault): void {
    this.#queue.fail(fault);
  }

  /** A group is settled. */
  landed(flight: Flight, fault: Fault | undefined): void {
    this.#flight.splice(this.#flight.indexOf(flight), 1);
    if (fault !== undefined) {
      // What was queued behind it counted on its records.
      this.#queue.fail(
        new Fault("unavailable", { message: "an append before this one failed", cause: fault }),
      );
    } else if (!this.#queue.empty) this.#node!.wake();
  }

  close(): void {
    this.#timer?.cancel();
    this.#queue.fail(new Fault("unavailable", { message: "the log is closed" }));
  }

  /** The answer to a retry, or undefined when it is news. Throws what the producer table finds wrong. */
  #asBefore(
    run: RecordRun,
    producer: ProducerStamp,
    deadlineMs: number | undefined,
  ): Promise<Appended> | undefined {
    const { state } = this.#log;
    // Without a trusted clock, only the log's own time lets a producer expire.
    const now = Math.max(this.#time.expiryMs() ?? 0, this.#log.end.timestampMs);
    const verdict = this.#queue.check(
      producer,
      run.count,
      state.producers,
      now,
      state.settings,
      this.#unstaged,
    );
    if ("queued" in verdict) return this.#wait(verdict.queued, verdict.place, run.count, true, deadlineMs);
    if (!("staged" in verdict)) return undefined;
    const { index, firstOffset, timestampMs } = verdict.staged;
    const appended = { firstOffset, count: run.count, timestampMs, duplicate: true };
    if (index <= this.#log.commitIndex) return Promise.resolve(appended);
    const flight = this.#flight.find(({ lastIndex }) => lastIndex >= index);
    return this.#settled(flight?.group).then(() => appended);
  }

  /**
   * Says no for what stands in the log, once that is certain: what comes before is settled, and this node led when it
   * was asked. One that was deposed and does not know it would refuse a producer what a newer leader expects of it.
   */
  async #refused(before: QueuedGroup | undefined, verdict: () => unknown): Promise<never> {
    const node = this.#node!;
    const { term } = node;
    let cause: unknown;
    try {
      await this.#settled(before);
      await node.confirm();
    } catch (reason) {
      cause = reason;
    }
    // A follower's question is answered too, by the leader that it then has.
    if (cause === undefined && node.isLeader && node.term === term) throw verdict();
    throw new Fault("unavailable", { message: "how the log ends is not certain now", cause });
  }

  #wait(
    group: QueuedGroup,
    place: number,
    count: number,
    duplicate: boolean,
    deadlineMs: number | undefined,
  ): Promise<Appended> {
    if (deadlineMs !== undefined) this.#lookAtDeadlines();
    return new Promise((resolve, reject) => {
      const waiter = { place, count, duplicate, resolve, reject, deadlineMs };
      group.waiters.push(waiter);
    });
  }

  /** Resolves once the group, if there is one, and so everything before it is settled; rejects if that failed. */
  #settled(group: QueuedGroup | undefined): Promise<void> {
    if (group === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      group.barriers.push((fault) => (fault === undefined ? resolve() : reject(fault)));
    });
  }

  #lastGroup(): QueuedGroup | undefined {
    return this.#queue.last ?? this.#flight[this.#flight.length - 1]?.group;
  }

  /** Groups of this term that were proposed and that the log does not hold yet, in order. */
  get #unstaged(): readonly QueuedGroup[] {
    if (this.#flight.length === 0) return noGroups;
    const { term } = this.#node!;
    const { index } = this.#log.end;
    return this.#flight
      .filter((flight) => flight.term === term && flight.lastIndex > index)
      .map(({ group }) => group);
  }

  /** The offset of the next append's first record, if all before it succeeds. */
  #tailOffset(): Offset {
    let offset = this.#log.end.nextOffset + this.#queue.records;
    for (const { builder } of this.#unstaged) offset += builder.records;
    return offset;
  }

  /** One timer for all, and only while somebody waits who has a deadline. */
  #lookAtDeadlines(): void {
    this.#timer ??= this.#clock.after(deadlineLookMs, () => {
      this.#timer = undefined;
      const now = this.#clock.monotonicMs();
      let more = false;
      for (const group of [...this.#flight.map((flight) => flight.group), ...this.#queue.groups]) {
        for (const waiter of group.waiters) {
          const { deadlineMs } = waiter as unknown as DeadlineWaiter;
          if (deadlineMs === undefined) continue;
          if (deadlineMs <= now) waiter.reject(new Fault("deadline", { written: "unknown" }));
          else more = true;
        }
      }
      if (more) this.#lookAtDeadlines();
    });
  }
}

/** A group that was proposed. */
class Flight implements ProposalWaiter {
  readonly group: QueuedGroup;
  readonly term: Term;
  /** Raft seals them in place. */
  readonly frames: readonly Uint8Array[];
  readonly #appender: Appender;

  constructor(group: QueuedGroup, term: Term, appender: Appender) {
    this.group = group;
    this.term = term;
    this.frames = group.builder.drafts();
    this.#appender = appender;
  }

  /** Its last index; infinite before it is sealed. */
  get lastIndex(): RaftIndex {
    const last = this.frames[this.frames.length - 1]!;
    return isDraft(last, 0) ? Number.POSITIVE_INFINITY : frameIndex(last, 0);
  }

  applied(): void {
    const [first] = this.frames;
    const base = frameBaseOffset(first!, 0);
    const timestampMs = frameTimestampMs(first!, 0);
    for (const waiter of this.group.waiters) waiter.resolve(appendResult(waiter, base, timestampMs));
    for (const barrier of this.group.barriers) barrier(undefined);
    this.#appender.landed(this, undefined);
  }

  failed(reason: Error): void {
    const fault = Fault.from(reason);
    this.group.fail(fault);
    this.#appender.landed(this, fault);
  }
}

/** Throws Fault "bad-request" and "too-large". */
export function checkRun(run: RecordRun, subject: string | undefined): void {
  if (run.count === 0) throw new Fault("bad-request", { message: "nothing to append" });
  if (run.bytes.length > runBytesMax || run.count > batchRecordsMax) {
    throw new Fault("too-large", {
      message: `one append takes at most ${batchRecordsMax} records and ${runBytesMax} bytes`,
      facts: {
        records: run.count,
        bytes: run.bytes.length,
        recordsMax: batchRecordsMax,
        bytesMax: runBytesMax,
      },
    });
  }
  if (subject !== undefined && Buffer.byteLength(subject) > subjectBytesMax) {
    throw new Fault("too-large", { message: `a producer's subject has at most ${subjectBytesMax} bytes` });
  }
}

function offsetMismatch(expected: Offset, next: Offset): Fault {
  return new Fault("offset-mismatch", {
    message: `expected the log to end at ${expected}, it ends at ${next}`,
    facts: { expected, next },
  });
}
