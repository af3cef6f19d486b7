/**
 * Collects appends into the frames of one group, in one buffer. Consecutive appends of the same producer, or without one,
 * become one batch. An append with an expected offset is a batch of its own. Pure.
 *
 * Appends keep their order, and an append is not split, so the offset of each record relative to the group is known at
 * once. The frames are drafts: index, term, offsets, time and checksums are written when their place in the log is known.
 */
import { assert } from "../../lib/assert.ts";
import type { LogId, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import {
  type BatchKind,
  batchKind,
  commandBytes,
  frameBytesMax,
  headBytes,
  writeCommand,
  writeDraft,
} from "../frame/frame.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import { GroupBufferPool } from "./group-buffer-pool.ts";
import { noItems, withItem } from "./short-list.ts";

/** Limits of a batch of several appends. One append alone may be larger. */
const coalescedBytesMax = 64 * 1024;
const coalescedRecordsMax = 1024;
/** The largest head without a command: 63 bytes, a producer block, a subject of 255 bytes. */
const headBytesMax = 400;

/** A group with this many bytes is not copied to a larger buffer any more: it is full when its buffer is full. */
const movedBytesMax = 1024 * 1024;

/** The most traceparents that one group holds. */
const tracesMax = 128;

/** The largest run that fits into a frame of any producer, in bytes. */
export const runBytesMax = frameBytesMax - headBytesMax;

/** The named log of an append or a command. `baseOffset` is the offset of its next record. */
export interface DraftTarget {
  readonly logId: LogId;
  readonly baseOffset: Offset;
}

const ofDefault: DraftTarget = { logId: 0, baseOffset: 0 };

interface Draft {
  /** Undefined for `default`, of which the offset is known only when the draft is sealed. */
  readonly target: DraftTarget | undefined;
  readonly start: number;
  end: number;
  count: number;
  readonly kind: BatchKind;
  readonly producer: ProducerStamp | undefined;
  /** True if another append may be added. */
  readonly open: boolean;
}

export class GroupBuilder {
  #bytes: Uint8Array;
  #used = 0;
  #records = 0;
  #drafts: Draft[] | undefined;
  #traces: string[] | undefined;
  readonly #pool: GroupBufferPool;
  readonly #sideBySide: boolean;

  /**
   * `expectedBytes` is the probable size. Of the builders that share a pool, only the newest may be added to. With
   * `sideBySide` all may: each takes the whole of its buffer at once.
   */
  constructor(expectedBytes: number, pool = new GroupBufferPool(), sideBySide = false) {
    this.#pool = pool;
    this.#sideBySide = sideBySide;
    this.#bytes = this.#newBuffer(
      Math.min(movedBytesMax, sideBySide ? expectedBytes : Math.max(1024, expectedBytes)),
    );
  }

  get usedBytes(): number {
    return this.#used;
  }

  /** The number of records. */
  get records(): number {
    return this.#records;
  }

  get empty(): boolean {
    return this.#drafts === undefined;
  }

  /** The number of frames. */
  get batches(): number {
    return this.#drafts?.length ?? 0;
  }

  /**
   * Returns true if a run of this size fits and the group stays within `bytesMax`. Every run up to runBytesMax fits into an
   * empty group.
   */
  fits(runBytes: number, bytesMax = groupBytesMax): boolean {
    const needed = this.#used + headBytesMax + runBytes;
    return needed <= bytesMax && (needed <= this.#bytes.length || this.#used < movedBytesMax);
  }

  /** Adds the traceparent of an append. */
  trace(traceparent: string): void {
    if (this.traces.length < tracesMax) this.#traces = withItem(this.#traces, traceparent);
  }

  /** Traceparents of its appends, for the span of the flush. */
  get traces(): readonly string[] {
    return this.#traces ?? noItems;
  }

  /**
   * Adds a run. Returns the ordinal of its first record in the group. With `alone` it is a batch of its own; then it can have a
   * command, and without records it is a close.
   */
  add(
    run: RecordRun,
    producer: ProducerStamp | undefined,
    alone: boolean,
    target?: DraftTarget,
    command?: Uint8Array,
  ): number {
    const logId = target?.logId ?? 0;
    const place = this.#records;
    const length = run.bytes.length;
    const draft = alone ? undefined : this.#openDraft(run, producer, logId);
    if (draft === undefined) {
      const head = headBytes(producer) + commandBytes(command);
      this.#reserve(head + length);
      writeCommand(this.#bytes, this.#used + headBytes(producer), command);
      this.#bytes.set(run.bytes, this.#used + head);
      this.#drafts = withItem(this.#drafts, {
        target,
        start: this.#used,
        end: this.#used + head + length,
        count: run.count,
        kind: run.count === 0 ? batchKind.closeLog : batchKind.data,
        producer,
        open: !alone,
      });
      this.#used += head + length;
    } else {
      this.#reserve(length);
      this.#bytes.set(run.bytes, this.#used);
      this.#used += length;
      draft.end = this.#used;
      draft.count += run.count;
    }
    this.#records += run.count;
    return place;
  }

  /** Adds a command as a batch without records. */
  addCommand(kind: BatchKind, command: Uint8Array, target?: DraftTarget): void {
    assert(kind !== batchKind.data, "data is not a command");
    const head = headBytes(undefined);
    const body = commandBytes(command);
    this.#reserve(head + body);
    const start = this.#used;
    this.#used += head + body;
    writeCommand(this.#bytes, start + head, command);
    this.#drafts = withItem(this.#drafts, {
      target,
      start,
      end: this.#used,
      count: 0,
      kind,
      producer: undefined,
      open: false,
    });
  }

  /** Returns the frames as drafts, one after another in one buffer. Nothing may be added afterwards. */
  drafts(): Uint8Array[] {
    const drafts: Uint8Array[] = [];
    this.#write(this.#bytes, 0, drafts);
    return drafts;
  }

  /** Writes the same to `at` of another buffer, and adds the frames to `drafts`. */
  copyDrafts(buffer: Uint8Array, at: number, drafts: Uint8Array[]): void {
    buffer.set(this.#bytes.subarray(0, this.#used), at);
    this.#write(buffer, at, drafts);
  }

  #write(buffer: Uint8Array, at: number, drafts: Uint8Array[]): void {
    for (const { target, start, end, count: recordCount, kind, producer } of this.#drafts ?? noItems) {
      const { logId, baseOffset } = target ?? ofDefault;
      writeDraft(buffer, at + start, at + end, { recordCount, kind, logId, baseOffset }, producer);
      drafts.push(buffer.subarray(at + start, at + end));
    }
  }

  /** The last batch, if the run may be added to it. */
  #openDraft(run: RecordRun, producer: ProducerStamp | undefined, logId: LogId): Draft | undefined {
    const draft = this.#drafts?.[this.#drafts.length - 1];
    if (draft === undefined || !draft.open || (draft.target?.logId ?? 0) !== logId) return undefined;
    if (draft.end - draft.start + run.bytes.length > coalescedBytesMax) return undefined;
    if (draft.count + run.count > coalescedRecordsMax) return undefined;
    return continuesSequence(draft.producer, draft.count, producer) ? draft : undefined;
  }

  /** Makes the buffer large enough for `more` bytes. */
  #reserve(more: number): void {
    const needed = this.#used + more;
    assert(needed <= groupBytesMax, "a group overflows");
    if (needed > this.#bytes.length) {
      const grown = this.#newBuffer(Math.min(groupBytesMax, Math.max(needed, 2 * this.#used)));
      grown.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = grown;
    }
    if (!this.#sideBySide) this.#pool.take(this.#bytes, needed);
  }

  #newBuffer(bytes: number): Uint8Array {
    return this.#sideBySide ? this.#pool.cut(bytes) : this.#pool.reserve(bytes);
  }
}

/** Returns true if `next` continues the sequence of `producer` after `count` records. True also if neither has a producer. */
export function continuesSequence(
  producer: ProducerStamp | undefined,
  count: number,
  next: ProducerStamp | undefined,
): boolean {
  if (producer === undefined || next === undefined) return producer === next;
  return (
    producer.id === next.id &&
    producer.epoch === next.epoch &&
    producer.subject === next.subject &&
    producer.sequence + count === next.sequence
  );
}
