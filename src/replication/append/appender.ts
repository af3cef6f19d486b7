/**
 * The appends of a leader: gathered into groups while earlier groups are in flight, proposed as the frames of one group,
 * resolved when applied.
 *
 *   append → queue │ gather (a turn of Raft begins): propose → sealed → sent to followers, staged and written here
 *   → committed and applied → every caller's promise resolves
 *
 * Whether an append is accepted (offset, producer sequence) is decided when it arrives, against the log's staged end plus
 * all groups that are not staged yet, proposed or queued. So when a group fails, all groups queued behind it fail too, as
 * not written.
 *
 * A leader takes no appends before the first entry of its term is applied here: only then are its producers complete.
 */
import { Fault } from "../../fault.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import {
  AppendQueue,
  type Barrier,
  type BatchKind,
  checkOffsetsLeft,
  type LogRow,
  type LogTable,
  type QueuedAppend,
  type QueuedGroup,
  type QueuedVerdict,
  type QueueLimits,
  type Reserve,
  type SegmentedLog,
  type ShareOwner,
  type WriteGroup,
} from "../../log/mod.ts";
import { proposal } from "../../raft/mod.ts";
import type { Appended, AppendOptions, LogId, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import type { CommandTarget } from "../logs/admin/command-target.ts";
import { LogAdmission } from "../logs/log-admission.ts";
import { LogQuotas, type QuotaLimits } from "../logs/log-quotas.ts";
import { noSuchLog, offsetMismatch, type PresentTime } from "../logs/log-refusals.ts";
import { LogTurns } from "../logs/log-turns.ts";
import { QuotaRefusals } from "../logs/quota-refusals.ts";
import {
  bytesOf,
  checkStream,
  isPrepared,
  queuedStreamOf,
  type RepeatedStream,
  repeatedResult,
} from "../logs/stream-admission.ts";
import type { LogTime } from "../time/log-time.ts";
import { AppendDeadlines } from "./append-deadlines.ts";
import type { AppenderNode } from "./appender-node.ts";
import { CertainAnswers, settled } from "./certain-answers.ts";
import { checkRun } from "./check-run.ts";
import { DiskAdmission } from "./disk-admission.ts";
import { ProposedGroup } from "./groups/proposed-group.ts";
import { SlowAppends } from "./groups/slow-appends.ts";
import { ownerOf, UnstagedAppends } from "./unstaged-appends.ts";

export interface AppenderOptions {
  readonly log: SegmentedLog;
  readonly clock: Clock;
  readonly time: Pick<LogTime, "expiryMs" | "stampMs">;
  readonly reserve: Reserve | undefined;
  /** Default: 64 MiB and 131,072 appends. A subject alone has half of it, and a quarter in one log. See FairShares. */
  readonly limits?: QueueLimits;
  /** Default: none but the largest number of logs. */
  readonly quotas?: QuotaLimits | undefined;
  /** Appends that take longer are logged (see SlowAppends). In milliseconds. Default 0: none. */
  readonly slowAppendMs?: number | undefined;
  readonly logger?: Logger | undefined;
}

/**
 * Groups that may be proposed and not yet applied. One where a commit waits only for this node's disk: a second group
 * would only make both smaller. Two where the second can be sent to followers in the meantime.
 */
const groupsInFlightMax = { alone: 1, together: 2 };
const defaultLimits: QueueLimits = { bytesMax: 64 * 1024 * 1024, appendsMax: 131_072 };
const ownCommand: ShareOwner = { log: undefined, subject: undefined };

export class Appender {
  readonly #log: SegmentedLog;
  readonly #time: AppenderOptions["time"];
  readonly disk: DiskAdmission;
  readonly #queue: AppendQueue;
  readonly admission: LogAdmission;
  readonly turns: LogTurns;
  readonly quotaRefusals: QuotaRefusals;
  readonly #inFlight: ProposedGroup[] = [];
  readonly #unstaged: UnstagedAppends;
  readonly #deadlines: AppendDeadlines;
  readonly #certain = new CertainAnswers(() => this.#node!);
  readonly #slow: SlowAppends;
  #node: AppenderNode | undefined;
  #closed = false;
  /** Raises the level of the cluster to that of streams. */
  prepareStreams = (_deadlineMs?: number): Promise<void> => Promise.reject(new Fault("unimplemented"));

  constructor(options: AppenderOptions) {
    this.#log = options.log;
    this.#time = options.time;
    this.disk = new DiskAdmission(options.reserve, options.log);
    const { clock, log, logger = noLogger, slowAppendMs: limitMs = 0 } = options;
    this.#queue = new AppendQueue(options.limits ?? defaultLimits, clock);
    this.#slow = new SlowAppends({ log, clock, logger, limitMs });
    this.#unstaged = new UnstagedAppends({
      queue: this.#queue,
      log: options.log,
      inFlight: this.#inFlight,
      term: () => this.#node!.term,
    });
    const table = (): LogTable => options.log.state.logs;
    this.admission = new LogAdmission(table, new LogQuotas(table, options.clock, options.quotas));
    this.turns = new LogTurns(options.clock);
    const refuse: Appender["refuse"] = (refusal) => this.refuse(refusal);
    this.quotaRefusals = new QuotaRefusals({ quotas: this.admission.quotas, turns: this.turns, refuse });
    this.#deadlines = new AppendDeadlines(options.clock, () => [
      ...this.#inFlight.flatMap(({ group }) => group.parts),
      ...this.#queue.groups(),
    ]);
  }

  /** Sets the Raft node, which is created after the appender, before any append. */
  attach(node: AppenderNode): void {
    this.#node = node;
  }

  /** True if this node can take appends now. */
  get ready(): boolean {
    const node = this.#node;
    if (this.#closed || node?.isLeader !== true || node.isHandingOver) return false;
    return this.#log.term(this.#log.commitIndex) === node.term;
  }

  /**
   * Queues an append and copies its bytes. The caller has checked that this node is ready.
   * @throws Fault if the append is refused at once; otherwise rejects with a Fault
   */
  append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    const { log } = options;
    checkRun(run, options);
    const waits =
      log !== undefined && (!isPrepared(options, this.#log.state.logs.level) || this.turns.isBusy(log.name));
    return waits ? this.#appendLater(run, options, log.name) : this.#admit(run, options);
  }

  /** See AppendLog in src/api/methods/append.ts. What a quota or the disk refuses is refused by append(). */
  takesWhole(run: RecordRun, options: AppendOptions): boolean {
    const { log, producer } = options;
    if (producer === undefined || options.stream !== undefined || !this.ready) return false;
    if (log !== undefined && this.turns.isBusy(log.name)) return false;
    try {
      checkRun(run, options);
      const row = log === undefined ? undefined : this.admission.rowOf(log);
      const stamp = row === undefined ? producer : { ...producer, logId: row.id };
      if (!("append" in this.#verdict(run, stamp))) return false;
      if (row !== undefined) {
        const needed = bytesOf(run, stamp, undefined);
        this.admission.checkRun(row, run, needed, () => this.#unstaged.bytesOf(row.id));
      }
    } catch (refusal) {
      if (!(refusal instanceof Fault)) throw refusal;
      return false;
    }
    return this.#queue.hasRoom(ownerOf(options), run.bytes.length);
  }

  /** Appends after the commands about the log that are under way, and after the appends that wait for them already. */
  #appendLater({ bytes, count }: RecordRun, options: AppendOptions, name: string): Promise<Appended> {
    const release = this.#queue.reserve(ownerOf(options), bytes.length);
    const copy = { bytes: new Uint8Array(bytes), count };
    const append = (): Promise<Appended> => {
      this.#checkReady();
      return this.#admit(copy, options);
    };
    const inTurn = (): Promise<Appended> => this.turns.inTurn(name, options.deadlineMs, append, release);
    if (isPrepared(options, this.#log.state.logs.level)) return inTurn();
    return this.prepareStreams(options.deadlineMs).then(inTurn, (reason: unknown) => {
      release();
      throw reason;
    });
  }

  /** Decides about an append now. */
  #admit(run: RecordRun, options: AppendOptions): Promise<Appended> {
    const { log, producer, expectedOffset, deadlineMs, traceparent } = options;
    const stream = queuedStreamOf(options);
    let row: LogRow | undefined;
    let stamp = producer;
    let isOfProducer = false;
    let quotaRefusal: (() => Fault | undefined) | undefined;
    try {
      row = log === undefined ? undefined : this.admission.rowOf(log);
      if (producer !== undefined) {
        stamp = row === undefined ? producer : { ...producer, logId: row.id };
        isOfProducer = true;
        const answered = this.#duplicateOf(run, stamp, deadlineMs);
        if (answered !== undefined) return answered;
        isOfProducer = false;
      }
      if (row !== undefined) {
        const { id } = row;
        const waiting = this.#unstaged.streamsOf(id);
        const found = checkStream(row, waiting, stream?.command, run.count, this.#log.end.timestampMs);
        if (found !== undefined) return this.#repeated(row, found);
        const needed = bytesOf(run, stamp, stream);
        this.admission.checkRun(row, run, needed, () => this.#unstaged.bytesOf(id));
        quotaRefusal = this.admission.quotas.refusedAppend(row, needed);
        this.admission.quotas.checkAppend(row, needed);
      }
    } catch (refusal) {
      if (quotaRefusal !== undefined) return this.quotaRefusals.refuse(quotaRefusal, deadlineMs);
      // What is staged and queued counts for the row, and may still fail: then the log has room, or is another one.
      return this.#certain.refuse(isOfProducer ? undefined : this.#unstaged.last(row?.id), () => refusal);
    }
    const tail = this.#unstaged.tailOffset(row);
    if (expectedOffset !== undefined && expectedOffset !== tail) {
      // The end of the log is certain, and committed, only once everything before this append is settled.
      return this.#certain.refuse(this.#unstaged.last(row?.id ?? 0), () =>
        this.#offsetMismatch(expectedOffset, row),
      );
    }
    checkOffsetsLeft(tail, run.count);
    this.disk.check();
    const target = row === undefined ? undefined : { logId: row.id, baseOffset: tail };
    const alone = expectedOffset !== undefined || stream !== undefined;
    const owner = ownerOf(options);
    const { group, place } = this.#queue.add({
      ...{ run, producer: stamp, alone, traceparent, target, owner, stream },
    });
    if (row !== undefined) this.admission.quotas.appends(row, bytesOf(run, stamp, stream), group);
    this.#node!.wake();
    const sequence = stream?.command.producer?.sequence;
    return this.#wait(group, {
      ...{ place, count: run.count, duplicate: false, logId: row?.id, sequence, deadlineMs },
    });
  }

  /** The result of a repeated append of a stream, once everything before it is committed. */
  async #repeated({ id, name }: LogRow, found: RepeatedStream): Promise<Appended> {
    await settled(this.#unstaged.last(id));
    return repeatedResult(this.#log.state.logs.row(id), name, found);
  }

  /** Appends a command of the log. Resolves once it is applied. @throws Fault "unavailable" if this node does not lead any more */
  command(kind: BatchKind, command: Uint8Array): Promise<void> {
    this.#checkReady();
    const group = this.#queue.addCommand(kind, command, ownCommand);
    this.#node!.wake();
    return settled(group);
  }

  /** Appends a command about a named log. Until it is applied, other changes of the log, and of `barrier`, wait. */
  namedCommand(
    kind: BatchKind,
    command: Uint8Array,
    { id, name, barrier, subject }: CommandTarget,
    ended?: Barrier,
  ): Promise<void> {
    this.#checkReady();
    const next = this.#log.state.logs.stagedRow(id)?.next ?? 0;
    const baseOffset = next + this.#unstaged.recordsOf(id);
    const group = this.#queue.addCommand(kind, command, { log: name, subject }, { logId: id, baseOffset });
    this.turns.began(name, group, barrier);
    if (ended !== undefined) group.onSettled(ended);
    this.#node!.wake();
    return settled(group);
  }

  /** After a wait. A node that has failed or was closed would never take what is queued. @throws Fault "unavailable" */
  #checkReady(): void {
    if (this.ready && !this.#log.closed && this.#log.failure === undefined) return;
    throw new Fault("unavailable", { message: "this node does not lead any more" });
  }

  /** Rejects with `refusal` once what is proposed, and queued for `id`, is settled, and this node certainly was the leader. */
  refuse(refusal: () => unknown, id?: LogId): Promise<never> {
    return this.#certain.refuse(this.#unstaged.last(id), refusal);
  }
  readonly unstagedBytes = (id: LogId): number => this.#unstaged.bytesOf(id);

  /** Resolves under the same conditions, for an answer that changes nothing. */
  confirmed(): Promise<void> {
    return this.#certain.confirmed(this.#unstaged.last());
  }

  /** The time that a time in a request is compared with. */
  presentTime(): PresentTime {
    const nowMs = this.#time.expiryMs();
    if (nowMs !== undefined) return { nowMs, isTrusted: true };
    return { nowMs: Math.max(this.#time.stampMs(), this.#log.end.timestampMs), isTrusted: false };
  }

  /** Proposes queued groups, as many as may be in flight. Called when a turn of Raft begins. */
  gather(): void {
    if (this.#queue.empty) return;
    const node = this.#node!;
    // During a transfer the groups stay queued: if it is given up they are proposed, otherwise they fail as not written.
    if (node.isLeader && node.isHandingOver) return;
    if (!this.ready) {
      this.fail(new Fault("unavailable", { message: "this node does not lead any more" }));
      return;
    }
    const inFlightMax = node.alone ? groupsInFlightMax.alone : groupsInFlightMax.together;
    while (!this.#queue.empty && this.#inFlight.length < inFlightMax) {
      const group = this.#queue.take()!;
      if (!this.#canStore(group)) return;
      const proposed = new ProposedGroup(group, node.term, this.#groupSettled);
      this.#inFlight.push(proposed);
      this.#log.meter?.linkNextFlush(group.traces());
      const refused = node.propose(
        proposed.frames.map((frame) => proposal(frame)),
        proposed,
      );
      if (refused !== undefined) proposed.failed(refused);
    }
  }

  /** Returns false if the disk would refuse the group. It and all queued groups have then failed as not written. */
  #canStore(next: WriteGroup): boolean {
    // A group of commands is always tried: a trim can free disk space.
    if (!next.hasRecords) return true;
    const { bytes, batches } = this.#unstaged.sizeWith(next);
    const fault = this.#log.prepare(bytes, batches, this.#time.stampMs());
    if (fault === undefined) return true;
    if (fault.kind === "disk-full") this.disk.filled();
    next.fail(fault);
    this.#queue.fail(fault);
    return false;
  }

  /** Fails all groups that were not proposed yet, as not written. */
  fail(fault: Fault): void {
    this.#queue.fail(fault);
  }

  readonly #groupSettled = (proposed: ProposedGroup, fault: Fault | undefined): void => {
    this.#inFlight.splice(this.#inFlight.indexOf(proposed), 1);
    this.#slow.ended(proposed, fault);
    if (fault !== undefined) {
      // The groups queued behind it were accepted on the assumption that its records are written.
      this.#queue.fail(
        new Fault("unavailable", { message: "an append before this one failed", cause: fault }),
      );
    } else if (!this.#queue.empty) this.#node!.wake();
  };

  close(): void {
    this.#closed = true;
    this.#deadlines.close();
    this.#queue.fail(new Fault("unavailable", { message: "the log is closed" }));
  }

  /**
   * Returns the result of the original if this append is a duplicate, undefined otherwise.
   * @throws Fault of the producer table if the sequence or epoch does not match
   */
  #duplicateOf(
    run: RecordRun,
    producer: ProducerStamp,
    deadlineMs: number | undefined,
  ): Promise<Appended> | undefined {
    const found = this.#verdict(run, producer);
    const { logId } = producer;
    if ("queued" in found) {
      const { queued, place } = found;
      return this.#wait(queued, { place, count: run.count, duplicate: true, logId, deadlineMs });
    }
    if (!("staged" in found)) return undefined;
    const { index, firstOffset, timestampMs } = found.staged;
    const named = logId === undefined ? {} : { logId };
    const appended = { firstOffset, count: run.count, timestampMs, duplicate: true, ...named };
    if (index <= this.#log.commitIndex) return Promise.resolve(appended);
    const proposed = this.#inFlight.find(({ lastIndex }) => lastIndex >= index);
    return settled(proposed?.group.last).then(() => appended);
  }

  /** @throws as #duplicateOf() */
  #verdict({ count }: RecordRun, producer: ProducerStamp): QueuedVerdict {
    const { producers, settings } = this.#log.state;
    // Without a trusted clock, only the log's own time lets a producer expire.
    const now = Math.max(this.#time.expiryMs() ?? 0, this.#log.end.timestampMs);
    return this.#queue.check(producer, count, producers, now, settings, this.#unstaged.groups);
  }

  #wait(group: QueuedGroup, append: Omit<QueuedAppend, "resolve" | "reject">): Promise<Appended> {
    if (append.deadlineMs !== undefined) this.#deadlines.start();
    return new Promise((resolve, reject) => {
      group.wait({ ...append, resolve, reject });
    });
  }

  /** Why an append was refused, with the committed end of its log. The log can have been deleted since. */
  #offsetMismatch(expected: Offset, row: LogRow | undefined): Fault {
    const { next } = (row === undefined ? this.#log.bounds : this.#log.state.logs.row(row.id)) ?? {};
    return next === undefined ? noSuchLog(row!.name) : offsetMismatch(expected, next);
  }
}
