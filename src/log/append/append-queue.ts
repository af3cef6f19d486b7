/**
 * The queue of appends that were accepted and not proposed yet. Their records are already copied into the write group in
 * which they will be proposed. The queue is limited in bytes and in appends.
 *
 * An append is accepted when it arrives, against the end of the log plus everything queued before it. So when a group
 * fails, all groups queued after it fail too.
 */
import { Fault } from "../../fault.ts";
import type { Appended, LogId, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";
import type { BatchKind } from "../frame/frame.ts";
import type { ProducedBatch } from "../state/produced-batch.ts";
import { producerFenced } from "../state/producer-faults.ts";
import { type ProducerTable, producerKey } from "../state/producer-table.ts";
import { GroupBufferPool } from "./group-buffer-pool.ts";
import { type DraftTarget, GroupBuilder } from "./group-builder.ts";

/** An append that waits for its group. */
export interface QueuedAppend {
  /** The offset of its first record in its named log; for `default`, its ordinal among those of the group. */
  readonly place: number;
  /** Undefined for `default`. */
  readonly logId: LogId | undefined;
  /** How many records it has. */
  readonly count: number;
  readonly duplicate: boolean;
  /** In milliseconds of the monotonic clock. Undefined: the append has no deadline. */
  readonly deadlineMs: number | undefined;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (fault: Fault) => void;
}

interface QueuedProducer {
  readonly epoch: number;
  next: number;
  readonly runs: { readonly sequence: number; readonly count: number; readonly place: number }[];
}

/** A write group and the appends in it. */
export class QueuedGroup {
  readonly builder: GroupBuilder;
  readonly waiters: QueuedAppend[] = [];
  /** Called when the group is committed, or with the fault if it failed. */
  readonly barriers: ((fault: Fault | undefined) => void)[] = [];
  readonly producers = new Map<string, QueuedProducer>();
  /** A group with records is refused while the disk is full. A group of commands may use the reserve. */
  hasRecords = false;
  runBytes = 0;
  appends = 0;

  constructor(expectedBytes: number, pool: GroupBufferPool) {
    this.builder = new GroupBuilder(expectedBytes, pool);
  }

  fail(fault: Fault): void {
    for (const waiter of this.waiters) waiter.reject(fault);
    for (const barrier of this.barriers) barrier(fault);
  }
}

/** Whether records of a producer may be appended. Otherwise they are duplicates of staged or queued records. */
export type QueuedVerdict =
  | { readonly append: true }
  | { readonly staged: ProducedBatch }
  | { readonly queued: QueuedGroup; readonly place: number };

export interface QueueLimits {
  /** Bytes of records. One append may be larger if nothing else is queued. */
  readonly bytesMax: number;
  readonly appendsMax: number;
}

const expectedBytesMin = 4096;

export class AppendQueue {
  readonly #limits: QueueLimits;
  #groups: QueuedGroup[] = [];
  #bytes = 0;
  #appends = 0;
  /** Appends that will be added later, and have their room already. */
  readonly #reserved = { bytes: 0, appends: 0 };
  readonly #pool = new GroupBufferPool();
  /** The expected size of the next group: a moving average. */
  #expectedBytes = expectedBytesMin;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get empty(): boolean {
    return this.#groups.length === 0;
  }

  /** The queued groups, in the order in which they will be proposed. */
  get groups(): readonly QueuedGroup[] {
    return this.#groups;
  }

  /** The group that will be proposed last. */
  get last(): QueuedGroup | undefined {
    return this.#groups[this.#groups.length - 1];
  }

  /** Bytes of runs that are queued for this named log. */
  bytesOf(logId: LogId): number {
    let bytes = 0;
    for (const group of this.#groups) bytes += group.builder.bytesOf(logId);
    return bytes;
  }

  /** How many records of this log are queued. The next append follows them. */
  recordsOf(logId: LogId): number {
    let records = 0;
    for (const group of this.#groups) records += group.builder.recordsOf(logId);
    return records;
  }

  /**
   * Reserves room for an append that is added later. Returns the function that releases it.
   * @throws Fault "overloaded" if the queue is full
   */
  reserve(runBytes: number): () => void {
    this.#requireRoom(runBytes);
    const reserved = this.#reserved;
    reserved.bytes += runBytes;
    reserved.appends++;
    return () => {
      reserved.bytes -= runBytes;
      reserved.appends--;
    };
  }

  /**
   * Queues a run. With `alone` it gets a batch of its own. `place` is as in QueuedAppend.
   * @throws Fault "overloaded" if the queue is full
   */
  add(
    run: RecordRun,
    producer: ProducerStamp | undefined,
    alone: boolean,
    traceparent: string | undefined,
    target?: DraftTarget,
  ): { group: QueuedGroup; place: number } {
    const group = this.#groupFor(run.bytes.length);
    const ordinal = group.builder.add(run, producer, alone, target);
    const place = target?.baseOffset ?? ordinal;
    group.hasRecords = true;
    if (traceparent !== undefined) group.builder.trace(traceparent);
    if (producer !== undefined) addRun(group, producer, run.count, place);
    return { group, place };
  }

  /**
   * Queues a command.
   * @throws Fault "overloaded" if the queue is full
   */
  addCommand(kind: BatchKind, command: Uint8Array, target?: DraftTarget): QueuedGroup {
    const group = this.#groupFor(command.length);
    group.builder.addCommand(kind, command, target);
    return group;
  }

  /** Takes the group that is to be proposed now. */
  take(): QueuedGroup | undefined {
    const group = this.#groups.shift();
    if (group === undefined) return undefined;
    const average = Math.ceil(0.5 * this.#expectedBytes + 0.6 * group.builder.usedBytes);
    this.#expectedBytes = Math.max(expectedBytesMin, average);
    this.#bytes -= group.runBytes;
    this.#appends -= group.appends;
    return group;
  }

  /** Fails all queued groups. */
  fail(fault: Fault): void {
    const groups = this.#groups;
    this.#groups = [];
    this.#bytes = this.#appends = 0;
    for (const group of groups) group.fail(fault);
  }

  /**
   * Does what ProducerTable.check() does, and also considers the queued groups and the groups `ahead`, which were taken and
   * are not staged yet.
   */
  check(
    stamp: ProducerStamp,
    count: number,
    table: ProducerTable,
    nowMs: number,
    settings: LogSettings,
    ahead: readonly QueuedGroup[],
  ): QueuedVerdict {
    const key = producerKey(stamp);
    let expected: number | undefined;
    const groups = ahead.length === 0 ? this.#groups : [...ahead, ...this.#groups];
    for (let at = groups.length - 1; at >= 0; at--) {
      const group = groups[at]!;
      const queued = group.producers.get(key);
      if (queued === undefined) continue;
      if (expected === undefined) {
        if (stamp.epoch < queued.epoch) throw producerFenced(queued.epoch);
        expected = stamp.epoch > queued.epoch ? 0 : queued.next;
        if (stamp.sequence === expected) return { append: true };
      }
      if (stamp.epoch !== queued.epoch) continue;
      const run = queued.runs.find(
        ({ sequence, count: length }) =>
          stamp.sequence >= sequence && stamp.sequence + count <= sequence + length,
      );
      if (run !== undefined) return { queued: group, place: run.place + stamp.sequence - run.sequence };
    }
    if (expected === undefined) {
      const verdict = table.check(stamp, count, nowMs, settings);
      return "append" in verdict ? verdict : { staged: verdict.duplicate };
    }
    const staged = table.duplicate(stamp, count);
    if (staged !== undefined) return { staged };
    throw table.refusal(stamp, expected);
  }

  #requireRoom(runBytes: number): void {
    const { bytesMax, appendsMax } = this.#limits;
    const bytes = this.#bytes + this.#reserved.bytes;
    const appends = this.#appends + this.#reserved.appends;
    const isEmpty = this.#groups.length === 0 && this.#reserved.appends === 0;
    if (isEmpty || (bytes + runBytes <= bytesMax && appends < appendsMax)) return;
    throw new Fault("overloaded", {
      message: "too many appends wait for the disk",
      facts: { waitingBytes: bytes, waitingAppends: appends },
    });
  }

  #groupFor(runBytes: number): QueuedGroup {
    this.#requireRoom(runBytes);
    let group = this.last;
    if (!group?.builder.fits(runBytes)) {
      group = new QueuedGroup(Math.max(this.#expectedBytes, runBytes + 512), this.#pool);
      this.#groups.push(group);
    }
    group.runBytes += runBytes;
    group.appends++;
    this.#bytes += runBytes;
    this.#appends++;
    return group;
  }
}

/** Notes the run of a producer, to recognize its duplicates. */
function addRun(group: QueuedGroup, stamp: ProducerStamp, count: number, place: number): void {
  const key = producerKey(stamp);
  const known = group.producers.get(key);
  const run = { sequence: stamp.sequence, count, place };
  if (known !== undefined && known.epoch === stamp.epoch) {
    known.runs.push(run);
    known.next = stamp.sequence + count;
  } else {
    group.producers.set(key, { epoch: stamp.epoch, next: stamp.sequence + count, runs: [run] });
  }
}

/** The result of an append in a group whose first record of `default` got the offset `base`. */
export function appendResult(append: QueuedAppend, base: Offset, timestampMs: number): Appended {
  const { place, count, duplicate, logId } = append;
  if (logId !== undefined) return { firstOffset: place, count, timestampMs, duplicate, logId };
  return { firstOffset: base + place, count, timestampMs, duplicate };
}
