/**
 * The producer table: what makes a retry answer with the offsets of the first time. A fold over the log's batches,
 * so every node has the same one; `committed` plus an overlay of the tail that may still be cut. Pure.
 *
 * The sequence counts records. A batch of n records at sequence s covers s … s+n−1 and the next is s+n. A retry is
 * answered from the last five batches: its records must lie in one of them, or in several whose offsets have no gap
 * between them. Then each record has the offset that it had. What is older is in the log, but its offset is not kept:
 * "sequence-too-old".
 *
 * Invariant: the table is a function of the batches alone. Expiry goes by their timestamps and their distance, never by a
 * clock; caps are held by refusing new producers before their batch is made, never by forgetting others.
 *
 * Never: refuses in the fold (what is in the log is so), waits.
 */
import { Fault } from "../../fault.ts";
import type { Offset, ProducerStamp, RaftIndex } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";

/** How many batches of a producer a retry is answered from. */
export const rememberedResults = 5;
/** Producers of the latest entries are never forgotten; of so few, there is room for new ones beside them. */
const latestEntries = 256;

/** A batch that a producer appended. */
export interface ProducedBatch {
  readonly index: RaftIndex;
  readonly sequence: number;
  readonly count: number;
  readonly firstOffset: Offset;
  readonly timestampMs: number;
}

interface Producer {
  readonly subject: string;
  readonly id: bigint;
  readonly epoch: number;
  /** Oldest first, never empty, at most rememberedResults, contiguous in their sequences. */
  readonly batches: readonly ProducedBatch[];
}

/** A producer as a checkpoint holds it. */
export type ProducerRow = readonly [
  subject: string,
  id: bigint,
  epoch: number,
  batches: readonly (readonly [
    index: number,
    sequence: number,
    count: number,
    offset: Offset,
    time: number,
  ])[],
];

/** May this be appended? `duplicate` is what the first time came to; it is committed once `index` is. */
export type ProducerVerdict = { readonly append: true } | { readonly duplicate: ProducedBatch };

export const producerKey = (subject: string, id: bigint): string => `${id}/${subject}`;
const last = (producer: Producer): ProducedBatch => producer.batches[producer.batches.length - 1]!;

export class ProducerTable {
  /** In the order of their last append, so that expiry takes from the front. */
  readonly #committed = new Map<string, Producer>();
  readonly #perSubject = new Map<string, number>();
  /** Called for each batch of a producer when it is committed; it must not change the log. */
  onCommitted: ((stamp: ProducerStamp, batch: ProducedBatch) => void) | undefined;
  #overlay = new Map<string, Producer>();
  /** The index of the newest batch of any producer. */
  #newest: RaftIndex = 0;
  #tail: { readonly stamp: ProducerStamp; readonly batch: ProducedBatch }[] = [];

  constructor(rows: readonly ProducerRow[] = []) {
    for (const [subject, id, epoch, batches] of rows) {
      this.#put({
        subject,
        id,
        epoch,
        batches: batches.map(([index, sequence, count, firstOffset, timestampMs]) => ({
          index,
          sequence,
          count,
          firstOffset,
          timestampMs,
        })),
      });
    }
  }

  get size(): number {
    return this.#committed.size;
  }

  /**
   * May `count` records of this producer follow now? Throws Fault "producer-fenced", "unknown-producer",
   * "out-of-sequence" (with `expected`), "sequence-too-old" or "too-many-producers". None of them writes anything, but
   * `written` is "unknown" where these records, or some of them, may be in the log since an earlier attempt.
   */
  check(stamp: ProducerStamp, count: number, nowMs: number, settings: LogSettings): ProducerVerdict {
    const known = this.#find(producerKey(stamp.subject, stamp.id));
    if (known === undefined || isForgotten(known, { index: this.#newest, timestampMs: nowMs }, settings)) {
      if (stamp.sequence !== 0) throw unknownProducer(stamp.sequence);
      if (known === undefined) this.#checkRoom(stamp.subject, settings);
      return { append: true };
    }
    if (stamp.epoch < known.epoch) throw producerFenced(known.epoch);
    const expected = stamp.epoch > known.epoch ? 0 : last(known).sequence + last(known).count;
    if (stamp.sequence === expected) return { append: true };
    const duplicate = this.duplicate(stamp, count);
    if (duplicate !== undefined) return { duplicate };
    throw this.refusal(stamp, expected);
  }

  /** Why a sequence that is neither the next one nor a retry that can be answered is refused. */
  refusal(stamp: ProducerStamp, expected: number): Fault {
    const { sequence } = stamp;
    const known = this.#find(producerKey(stamp.subject, stamp.id));
    const oldest = known?.epoch === stamp.epoch ? known.batches[0] : undefined;
    if (known === undefined || oldest === undefined || sequence >= oldest.sequence) {
      return outOfSequence(expected, sequence);
    }
    const newest = last(known);
    return new Fault("sequence-too-old", {
      message: `sequence ${sequence} is in the log, but offsets are kept only from sequence ${oldest.sequence} on`,
      facts: {
        sequence,
        expected,
        oldest: oldest.sequence,
        last_sequence: newest.sequence + newest.count - 1,
        last_offset: newest.firstOffset + newest.count - 1,
      },
      written: "unknown",
    });
  }

  /** What these records came to when they were appended the first time, if that is still remembered. */
  duplicate(stamp: ProducerStamp, count: number): ProducedBatch | undefined {
    const known = this.#find(producerKey(stamp.subject, stamp.id));
    if (known === undefined || known.epoch !== stamp.epoch) return undefined;
    return findDuplicate(known.batches, stamp.sequence, count);
  }

  /** A batch was put at the end of the log; it may still be cut off. */
  stage(stamp: ProducerStamp, batch: ProducedBatch): void {
    this.#newest = Math.max(this.#newest, batch.index);
    this.#tail.push({ stamp, batch });
    const key = producerKey(stamp.subject, stamp.id);
    this.#overlay.set(key, follow(this.#find(key), stamp, batch));
  }

  /** Batches up to `index` are committed. */
  commitTo(index: RaftIndex, settings: LogSettings): void {
    let done = 0;
    for (const { stamp, batch } of this.#tail) {
      if (batch.index > index) break;
      done++;
      this.#fold(stamp, batch, settings);
      this.onCommitted?.(stamp, batch);
      const key = producerKey(stamp.subject, stamp.id);
      const above = this.#overlay.get(key);
      if (above !== undefined && last(above).index <= index) this.#overlay.delete(key);
    }
    if (done > 0) this.#tail.splice(0, done);
  }

  /** Batches from `from` on were cut off. */
  truncate(from: RaftIndex): void {
    const kept = this.#tail.filter(({ batch }) => batch.index < from);
    this.#tail = [];
    this.#overlay = new Map();
    for (const { stamp, batch } of kept) this.stage(stamp, batch);
  }

  /** The same table, to go its own way. */
  copy(): ProducerTable {
    const copy = new ProducerTable(this.rows());
    for (const { stamp, batch } of this.#tail) copy.stage(stamp, batch);
    return copy;
  }

  /** What is committed. */
  rows(): ProducerRow[] {
    return Array.from(this.#committed.values(), ({ subject, id, epoch, batches }) => [
      subject,
      id,
      epoch,
      batches.map((batch) => [
        batch.index,
        batch.sequence,
        batch.count,
        batch.firstOffset,
        batch.timestampMs,
      ]),
    ]);
  }

  #find(key: string): Producer | undefined {
    return this.#overlay.get(key) ?? this.#committed.get(key);
  }

  #fold(stamp: ProducerStamp, batch: ProducedBatch, settings: LogSettings): void {
    for (const [key, producer] of this.#committed) {
      if (!isForgotten(producer, batch, settings)) break;
      this.#remove(key, producer);
    }
    this.#put(follow(this.#committed.get(producerKey(stamp.subject, stamp.id)), stamp, batch));
  }

  #put(producer: Producer): void {
    const key = producerKey(producer.subject, producer.id);
    this.#newest = Math.max(this.#newest, last(producer).index);
    const before = this.#committed.get(key);
    if (before !== undefined) this.#remove(key, before);
    this.#committed.set(key, producer);
    this.#perSubject.set(producer.subject, (this.#perSubject.get(producer.subject) ?? 0) + 1);
  }

  #remove(key: string, producer: Producer): void {
    this.#committed.delete(key);
    const left = this.#perSubject.get(producer.subject)! - 1;
    if (left === 0) this.#perSubject.delete(producer.subject);
    else this.#perSubject.set(producer.subject, left);
  }

  #checkRoom(subject: string, settings: LogSettings): void {
    let all = this.#committed.size;
    let own = this.#perSubject.get(subject) ?? 0;
    for (const [key, producer] of this.#overlay) {
      if (this.#committed.has(key)) continue;
      all++;
      if (producer.subject === subject) own++;
    }
    const { producersMax, producersPerSubjectMax } = settings;
    if (all < producersMax && own < producersPerSubjectMax) return;
    const limit = own < producersPerSubjectMax ? producersMax : producersPerSubjectMax;
    throw new Fault("too-many-producers", { facts: { limit } });
  }
}

/**
 * Too old at that point of the log. One of the latest entries is never too old: a node without peers stamps records by
 * its own clock, and where that is set by weeks, the producers that are at work must not be forgotten.
 */
function isForgotten(
  producer: Producer,
  at: Pick<ProducedBatch, "index" | "timestampMs">,
  { producerAgeMaxMs, producersPerSubjectMax }: LogSettings,
): boolean {
  const { index, timestampMs } = last(producer);
  const latest = Math.min(latestEntries, Math.floor(producersPerSubjectMax / 4));
  return timestampMs + producerAgeMaxMs < at.timestampMs && at.index - index >= latest;
}

/** What `batch` makes of the producer. A higher epoch begins anew; so does a sequence with a gap. */
function follow(before: Producer | undefined, stamp: ProducerStamp, batch: ProducedBatch): Producer {
  const { subject, id, epoch } = stamp;
  const goesOn =
    before !== undefined &&
    before.epoch === epoch &&
    last(before).sequence + last(before).count === batch.sequence;
  const batches = goesOn ? [...before.batches.slice(1 - rememberedResults), batch] : [batch];
  return { subject, id, epoch, batches };
}

/** A sequence below the expected one is in the log, at least in part. */
function outOfSequence(expected: number, sequence: number): Fault {
  return new Fault("out-of-sequence", {
    message: `the producer's next sequence is ${expected}, not ${sequence}`,
    facts: { expected, sequence },
    written: sequence < expected ? "unknown" : "no",
  });
}

/** The older epoch may have written it before it was producerFenced. */
export const producerFenced = (epoch: number): Fault =>
  new Fault("producer-fenced", { facts: { epoch }, written: "unknown" });

/** It may have written it before it was forgotten. */
const unknownProducer = (sequence: number): Fault =>
  new Fault("unknown-producer", { facts: { sequence }, written: "unknown" });

function findDuplicate(
  batches: readonly ProducedBatch[],
  sequence: number,
  count: number,
): ProducedBatch | undefined {
  let at = batches.findIndex(
    (batch) => sequence >= batch.sequence && sequence < batch.sequence + batch.count,
  );
  const first = batches[at];
  if (first === undefined) return undefined;
  let last = first;
  while (last.sequence + last.count < sequence + count) {
    const next = batches[++at];
    if (next === undefined || next.firstOffset !== last.firstOffset + last.count) return undefined;
    last = next;
  }
  const firstOffset = first.firstOffset + (sequence - first.sequence);
  return { index: last.index, sequence, count, firstOffset, timestampMs: first.timestampMs };
}
