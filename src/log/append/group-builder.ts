/**
 * Gathers appends into the frames of one write group, in one buffer, each record copied once. Neighbours of the same
 * producer, or of none, become one batch; an append with an expected offset is a batch of its own. Pure.
 *
 * The records of an append take the next offsets at once, relative to the group. The frames are drafts: index, term,
 * offsets, time and checksums are written when their place in the log is known. Appends keep their order, and an append
 * is not split.
 */
import { assert } from "../../lib/assert.ts";
import { varintBytes, writeVarint } from "../../lib/bytes.ts";
import type { ProducerStamp, RecordRun } from "../../types.ts";
import { type BatchKind, batchKind, frameBytesMax, headBytes, writeDraft } from "../frame/frame.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import { GroupBufferPool } from "./group-buffer-pool.ts";

/** A batch of several appends is at most this large; one append alone may be larger. */
const coalescedBytesMax = 64 * 1024;
const coalescedRecordsMax = 1024;
/** The worst head: 63 bytes, a producer block, a subject of 255 bytes. */
const headBytesMax = 400;

/** A group of so many bytes is not moved to larger memory any more: it is full when its memory is. */
const movedBytesMax = 1024 * 1024;

/** Traceparents that one group keeps. */
const tracesMax = 128;

/** The largest run that fits into a frame of any producer. */
export const runBytesMax = frameBytesMax - headBytesMax;

interface Draft {
  readonly start: number;
  end: number;
  count: number;
  readonly kind: BatchKind;
  readonly producer: ProducerStamp | undefined;
  /** May more be added? */
  readonly open: boolean;
}

export class GroupBuilder {
  #bytes: Uint8Array;
  #used = 0;
  #records = 0;
  readonly #drafts: Draft[] = [];
  /** Traceparents of its appends, as far as they have one. */
  readonly traces: string[] = [];
  readonly #memory: GroupBufferPool;

  /**
   * `roomBytes`: what the group will probably need. Of the builders that share a memory only the newest may be added
   * to.
   */
  constructor(roomBytes: number, memory = new GroupBufferPool()) {
    this.#memory = memory;
    this.#bytes = memory.open(Math.min(movedBytesMax, Math.max(1024, roomBytes)));
  }

  get usedBytes(): number {
    return this.#used;
  }

  get records(): number {
    return this.#records;
  }

  get empty(): boolean {
    return this.#drafts.length === 0;
  }

  /** How many frames it makes. */
  get batches(): number {
    return this.#drafts.length;
  }

  /** Is there room for a run of so many bytes? An empty group has room for every run up to runBytesMax. */
  fits(runBytes: number): boolean {
    const needed = this.#used + headBytesMax + runBytes;
    return needed <= groupBytesMax && (needed <= this.#bytes.length || this.#used < movedBytesMax);
  }

  /** Notes the traceparent of an append, for the span of the write that serves it. */
  trace(traceparent: string): void {
    if (this.traces.length < tracesMax) this.traces.push(traceparent);
  }

  /** Takes a run; answers the place of its first record in the group. `alone` keeps it a batch of its own. */
  add(run: RecordRun, producer: ProducerStamp | undefined, alone: boolean): number {
    const place = this.#records;
    const length = run.bytes.length;
    const draft = alone ? undefined : this.#openDraft(run, producer);
    if (draft === undefined) {
      const head = headBytes(producer);
      this.#reserve(head + length);
      this.#bytes.set(run.bytes, this.#used + head);
      this.#drafts.push({
        start: this.#used,
        end: this.#used + head + length,
        count: run.count,
        kind: batchKind.data,
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

  /** Takes a command, which has no records. */
  addCommand(kind: BatchKind, command: Uint8Array): void {
    assert(kind !== batchKind.data, "records are no command");
    const head = headBytes(undefined);
    const body = command.length === 0 ? 0 : 1 + varintBytes(command.length) + command.length;
    this.#reserve(head + body);
    const start = this.#used;
    this.#used += head + body;
    if (body > 0) {
      this.#bytes[start + head] = 0x7a;
      this.#bytes.set(command, writeVarint(this.#bytes, start + head + 1, command.length));
    }
    this.#drafts.push({
      start,
      end: this.#used,
      count: 0,
      kind,
      producer: undefined,
      open: false,
    });
  }

  /** The group's frames as drafts, neighbors in one buffer. Nothing may be added afterwards. */
  drafts(): Uint8Array[] {
    return this.#drafts.map(({ start, end, count, kind, producer }) => {
      writeDraft(this.#bytes, start, end, { recordCount: count, kind }, producer);
      return this.#bytes.subarray(start, end);
    });
  }

  #openDraft(run: RecordRun, producer: ProducerStamp | undefined): Draft | undefined {
    const draft = this.#drafts[this.#drafts.length - 1];
    if (draft === undefined || !draft.open) return undefined;
    if (draft.end - draft.start + run.bytes.length > coalescedBytesMax) return undefined;
    if (draft.count + run.count > coalescedRecordsMax) return undefined;
    return goesOn(draft.producer, draft.count, producer) ? draft : undefined;
  }

  #reserve(more: number): void {
    const needed = this.#used + more;
    assert(needed <= groupBytesMax, "a group overflows");
    if (needed > this.#bytes.length) {
      const grown = this.#memory.open(Math.min(groupBytesMax, Math.max(needed, 2 * this.#used)));
      grown.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = grown;
    }
    this.#memory.keep(this.#bytes, needed);
  }
}

/** Does `next` go on where `count` records of `producer` end? */
function goesOn(
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
