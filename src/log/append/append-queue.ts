/**
 * Appends that wait for their turn, already copied into the group that will be written: who waits for which place,
 * and what the producers among them have in the queue. Bounded in bytes and in waiters.
 *
 * Whether an append is accepted is decided when it arrives, against the log's end plus everything queued before it. So
 * when a group fails, all groups queued behind it fail with it.
 */
import { Fault } from "../../fault.ts";
import type { Appended, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";
import type { BatchKind } from "../frame/frame.ts";
import {
  type ProducedBatch,
  type ProducerTable,
  producerFenced,
  producerKey,
} from "../state/producer-table.ts";
import { GroupBufferPool } from "./group-buffer-pool.ts";
import { GroupBuilder } from "./group-builder.ts";

/** Somebody who waits for a group. */
export interface QueuedAppend {
  /** Of its first record in the group, and how many. */
  readonly place: number;
  readonly count: number;
  readonly duplicate: boolean;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (fault: Fault) => void;
}

interface QueuedProducer {
  readonly epoch: number;
  next: number;
  readonly runs: { readonly sequence: number; readonly count: number; readonly place: number }[];
}

/** A group that is being gathered. */
export class QueuedGroup {
  readonly builder: GroupBuilder;
  readonly waiters: QueuedAppend[] = [];
  /** Called when the group is settled, with the fault if it failed. */
  readonly barriers: ((fault: Fault | undefined) => void)[] = [];
  readonly producers = new Map<string, QueuedProducer>();
  /** Does it hold records? Then a full disk refuses it. */
  hasRecords = false;
  runBytes = 0;
  appends = 0;

  constructor(roomBytes: number, memory: GroupBufferPool) {
    this.builder = new GroupBuilder(roomBytes, memory);
  }

  fail(fault: Fault): void {
    for (const waiter of this.waiters) waiter.reject(fault);
    for (const barrier of this.barriers) barrier(fault);
  }
}

export type QueuedVerdict =
  | { readonly append: true }
  | { readonly staged: ProducedBatch }
  | { readonly queued: QueuedGroup; readonly place: number };

export interface QueueLimits {
  readonly bytesMax: number;
  readonly appendsMax: number;
}

export class AppendQueue {
  readonly #limits: QueueLimits;
  #groups: QueuedGroup[] = [];
  #bytes = 0;
  #appends = 0;
  readonly #memory = new GroupBufferPool();
  #roomBytes = 4096;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get empty(): boolean {
    return this.#groups.length === 0;
  }

  /** Those that wait, in the order in which they will be written. */
  get groups(): readonly QueuedGroup[] {
    return this.#groups;
  }

  /** The group that would be written last of those that wait. */
  get last(): QueuedGroup | undefined {
    return this.#groups[this.#groups.length - 1];
  }

  /** Records in the queue: the log's end is this much further for whoever comes now. */
  get records(): number {
    let records = 0;
    for (const group of this.#groups) records += group.builder.records;
    return records;
  }

  /** Queues a run. Throws Fault "overloaded". */
  add(
    run: RecordRun,
    producer: ProducerStamp | undefined,
    alone: boolean,
    traceparent: string | undefined,
  ): { group: QueuedGroup; place: number } {
    const group = this.#groupFor(run.bytes.length);
    const place = group.builder.add(run, producer, alone);
    group.hasRecords = true;
    if (traceparent !== undefined) group.builder.trace(traceparent);
    if (producer !== undefined) note(group, producer, run.count, place);
    return { group, place };
  }

  /** Queues a command of the log. */
  addCommand(kind: BatchKind, command: Uint8Array): QueuedGroup {
    const group = this.#groupFor(command.length);
    group.builder.addCommand(kind, command);
    return group;
  }

  /** Takes the group that is to be written now. */
  take(): QueuedGroup | undefined {
    const group = this.#groups.shift();
    if (group === undefined) return undefined;
    this.#roomBytes = Math.max(4096, Math.ceil(0.5 * this.#roomBytes + 0.6 * group.builder.usedBytes));
    this.#bytes -= group.runBytes;
    this.#appends -= group.appends;
    return group;
  }

  /** Everything that waits fails. */
  fail(fault: Fault): void {
    const groups = this.#groups;
    this.#groups = [];
    this.#bytes = this.#appends = 0;
    for (const group of groups) group.fail(fault);
  }

  /** The same as ProducerTable.check, counting what is queued and the groups `ahead`, which were taken and not staged yet. */
  check(
    stamp: ProducerStamp,
    count: number,
    table: ProducerTable,
    nowMs: number,
    settings: LogSettings,
    ahead: readonly QueuedGroup[],
  ): QueuedVerdict {
    const key = producerKey(stamp.subject, stamp.id);
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

  #groupFor(runBytes: number): QueuedGroup {
    const { bytesMax, appendsMax } = this.#limits;
    if (this.#groups.length > 0 && (this.#bytes + runBytes > bytesMax || this.#appends >= appendsMax)) {
      throw new Fault("overloaded", {
        message: "too many appends wait for the disk",
        facts: { waitingBytes: this.#bytes, waitingAppends: this.#appends },
      });
    }
    let group = this.last;
    if (!group?.builder.fits(runBytes)) {
      group = new QueuedGroup(Math.max(this.#roomBytes, runBytes + 512), this.#memory);
      this.#groups.push(group);
    }
    group.runBytes += runBytes;
    group.appends++;
    this.#bytes += runBytes;
    this.#appends++;
    return group;
  }
}

function note(group: QueuedGroup, stamp: ProducerStamp, count: number, place: number): void {
  const key = producerKey(stamp.subject, stamp.id);
  const known = group.producers.get(key);
  const run = { sequence: stamp.sequence, count, place };
  if (known !== undefined && known.epoch === stamp.epoch) {
    known.runs.push(run);
    known.next = stamp.sequence + count;
  } else {
    group.producers.set(key, { epoch: stamp.epoch, next: stamp.sequence + count, runs: [run] });
  }
}

/** The answer to one waiter of a group whose first record got `base`. */
export function appendResult(waiter: QueuedAppend, base: Offset, timestampMs: number): Appended {
  const { place, count, duplicate } = waiter;
  return { firstOffset: base + place, count, timestampMs, duplicate };
}
