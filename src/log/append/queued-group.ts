/**
 * Appends of one log that wait together: their frames lie one after another, and they are proposed at once. Their records are
 * already copied.
 */
import type { Fault } from "../../fault.ts";
import type { Appended, LogId, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import type { BatchKind } from "../frame/frame.ts";
import type { StreamCommand } from "../frame/stream-command.ts";
import type { Share } from "./fair-shares.ts";
import type { DraftTarget, GroupBuilder } from "./group-builder.ts";
import { noItems, withItem } from "./short-list.ts";

/** An append that waits for its group. */
export interface QueuedAppend {
  /** The offset of its first record in its named log; for `default`, its ordinal among those of the group. */
  readonly place: number;
  /** Undefined for `default`. */
  readonly logId: LogId | undefined;
  /** How many records it has. */
  readonly count: number;
  readonly duplicate: boolean;
  /** Of a producer of a stream. */
  readonly sequence?: number | undefined;
  /** In milliseconds of the monotonic clock. Undefined: the append has no deadline. */
  readonly deadlineMs: number | undefined;
  /** It was rejected because its deadline has passed. */
  isLate?: true;
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

/** An append of a stream that waits. */
export interface QueuedStream {
  readonly command: StreamCommand;
  /** The command as it is stored. */
  readonly encoded: Uint8Array;
}

/** `last` is the last frame of the group if it is committed. It is valid during the call. */
export type Barrier = (fault: Fault | undefined, last?: Uint8Array) => void;

export class QueuedGroup {
  readonly logId: LogId;
  readonly builder: GroupBuilder;
  /** When its first append was queued, in milliseconds of the monotonic clock. */
  readonly queuedMs: number;
  #streams: QueuedStream[] | undefined;
  #waiters: QueuedAppend[] | undefined;
  #barriers: Barrier[] | undefined;
  /** By producerKey(). Undefined: none of its appends has a producer. */
  producers: Map<string, QueuedProducer> | undefined;
  /** A group with records is refused while the disk is full. A group of commands may use the reserve. */
  hasRecords = false;
  appends = 0;
  /** How many of these are commands about a named log. */
  commands = 0;
  #charges: Charge[] | undefined;

  constructor(logId: LogId, builder: GroupBuilder, queuedMs = 0) {
    this.logId = logId;
    this.builder = builder;
    this.queuedMs = queuedMs;
  }

  /** Adds a run, with the key of its producer. Returns its place as in QueuedAppend. See GroupBuilder.add(). */
  add(
    run: RecordRun,
    producer: { readonly key: string; readonly stamp: ProducerStamp } | undefined,
    alone: boolean,
    target: DraftTarget | undefined,
    stream?: QueuedStream,
  ): number {
    const ordinal = this.builder.add(run, producer?.stamp, alone, target, stream?.encoded);
    const place = target?.baseOffset ?? ordinal;
    this.hasRecords ||= run.count > 0;
    if (stream !== undefined) this.#streams = withItem(this.#streams, stream);
    if (producer !== undefined) this.#noteRun(producer.key, producer.stamp, run.count, place);
    return place;
  }

  addCommand(kind: BatchKind, command: Uint8Array, target: DraftTarget | undefined): void {
    this.builder.addCommand(kind, command, target);
    if (target !== undefined) this.commands++;
  }

  /** Its appends of a stream, in order. */
  get streams(): readonly QueuedStream[] {
    return this.#streams ?? noItems;
  }

  /** One append more uses this share. */
  charge(share: Share, bytes: number): void {
    this.appends++;
    const last = this.#charges?.[this.#charges.length - 1];
    if (last?.share === share) {
      last.bytes += bytes;
      last.count++;
    } else {
      this.#charges = withItem(this.#charges, { share, bytes, count: 1 });
    }
  }

  /** The room that its appends use while they are queued. */
  get charges(): readonly Charge[] {
    return this.#charges ?? noItems;
  }

  /** One append more waits for the group. */
  wait(append: QueuedAppend): void {
    this.#waiters = withItem(this.#waiters, append);
  }

  get waiters(): readonly QueuedAppend[] {
    return this.#waiters ?? noItems;
  }

  /** `barrier` is called when the group is committed, after its appends, or with the fault if it failed. */
  onSettled(barrier: Barrier): void {
    this.#barriers = withItem(this.#barriers, barrier);
  }

  /** What waits for the group, after its appends. */
  get barriers(): readonly Barrier[] {
    return this.#barriers ?? noItems;
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
  const { place, count, duplicate, logId, sequence } = append;
  if (sequence !== undefined && logId !== undefined)
    return { firstOffset: place, count, timestampMs, duplicate, logId, sequence };
  if (logId !== undefined) return { firstOffset: place, count, timestampMs, duplicate, logId };
  return { firstOffset: base + place, count, timestampMs, duplicate };
}
