/**
 * Appends of one log that wait together: their frames lie one after another, and they are proposed at once. Their records are
 * already copied.
 */
import type { Fault } from "../../fault.ts";
import type { Appended, LogId, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import type { BatchKind } from "../frame/frame.ts";
import type { Share } from "./fair-shares.ts";
import type { DraftTarget, GroupBuilder } from "./group-builder.ts";

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

export interface QueuedProducer {
  readonly epoch: number;
  next: number;
  readonly runs: { readonly sequence: number; readonly count: number; readonly place: number }[];
}

/** The room of successive appends with the same owner. */
interface Charge {
  readonly share: Share;
  bytes: number;
  count: number;
}

export class QueuedGroup {
  readonly logId: LogId;
  readonly builder: GroupBuilder;
  readonly waiters: QueuedAppend[] = [];
  /** Called when the group is committed, or with the fault if it failed. */
  readonly barriers: ((fault: Fault | undefined) => void)[] = [];
  /** By producerKey(). Undefined: none of its appends has a producer. */
  producers: Map<string, QueuedProducer> | undefined;
  /** A group with records is refused while the disk is full. A group of commands may use the reserve. */
  hasRecords = false;
  appends = 0;
  /** The room that its appends use while they are queued. */
  readonly charges: Charge[] = [];

  constructor(logId: LogId, builder: GroupBuilder) {
    this.logId = logId;
    this.builder = builder;
  }

  /** Adds a run, with the key of its producer. Returns its place as in QueuedAppend. See GroupBuilder.add(). */
  add(
    run: RecordRun,
    producer: { readonly key: string; readonly stamp: ProducerStamp } | undefined,
    alone: boolean,
    target: DraftTarget | undefined,
  ): number {
    const ordinal = this.builder.add(run, producer?.stamp, alone, target);
    const place = target?.baseOffset ?? ordinal;
    this.hasRecords = true;
    if (producer !== undefined) this.#noteRun(producer.key, producer.stamp, run.count, place);
    return place;
  }

  addCommand(kind: BatchKind, command: Uint8Array, target: DraftTarget | undefined): void {
    this.builder.addCommand(kind, command, target);
  }

  /** One append more uses this share. */
  charge(share: Share, bytes: number): void {
    this.appends++;
    const last = this.charges[this.charges.length - 1];
    if (last?.share === share) {
      last.bytes += bytes;
      last.count++;
    } else {
      this.charges.push({ share, bytes, count: 1 });
    }
  }

  fail(fault: Fault): void {
    for (const waiter of this.waiters) waiter.reject(fault);
    for (const barrier of this.barriers) barrier(fault);
  }

  /** Notes the run of a producer, to recognize its duplicates. */
  #noteRun(key: string, stamp: ProducerStamp, count: number, place: number): void {
    this.producers ??= new Map();
    const known = this.producers.get(key);
    const run = { sequence: stamp.sequence, count, place };
    if (known !== undefined && known.epoch === stamp.epoch) {
      known.runs.push(run);
      known.next = stamp.sequence + count;
    } else {
      this.producers.set(key, { epoch: stamp.epoch, next: stamp.sequence + count, runs: [run] });
    }
  }
}

/** The result of an append in a group whose first record of `default` got the offset `base`. */
export function appendResult(append: QueuedAppend, base: Offset, timestampMs: number): Appended {
  const { place, count, duplicate, logId } = append;
  if (logId !== undefined) return { firstOffset: place, count, timestampMs, duplicate, logId };
  return { firstOffset: base + place, count, timestampMs, duplicate };
}
