/**
 * The producer table: what makes a retry answer with the offsets of the first time. A fold over the log's batches,
 * so every node has the same one; `committed` plus an overlay of the tail that may still be cut. Pure.
 *
 * The sequence counts records. A batch of n records at sequence s covers s … s+n−1 and the next is s+n. A retry must
 * lie wholly inside one of the last five batches; then each record has the offset it had.
 *
 * Invariant: the table is a function of the batches alone. Expiry goes by their timestamps, never by a clock; caps
 * are held by refusing new producers before their batch is made, never by forgetting others.
 *
 * Never: refuses in the fold (what is in the log is so), waits.
 */
import { Fault } from "../fault.ts";
import type { Offset, ProducerStamp, RaftIndex } from "../vocabulary.ts";
import type { LogSettings } from "./command.ts";

/** How many batches of a producer a retry is answered from. */
export const rememberedResults = 5;

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
export type Verdict = { readonly append: true } | { readonly duplicate: ProducedBatch };

export const keyOf = (subject: string, id: bigint): string => `${id}/${subject}`;
const last = (producer: Producer): ProducedBatch => producer.batches[producer.batches.length - 1]!;

export class ProducerTable {
  /** In the order of their last append, so that expiry takes from the front. */
  readonly #committed = new Map<string, Producer>();
  readonly #perSubject = new Map<string, number>();
  /** Called for each batch of a producer when it is committed; it must not change the log. */
  onCommitted: ((stamp: ProducerStamp, batch: ProducedBatch) => void) | undefined;
  #overlay = new Map<string, Producer>();
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
   * "out-of-sequence" (with `expected`) or "too-many-producers"; none of them writes anything.
   */
  check(stamp: ProducerStamp, count: number, nowMs: number, settings: LogSettings): Verdict {
    const known = this.#find(keyOf(stamp.subject, stamp.id));
    const forgotten = known === undefined || last(known).timestampMs + settings.producerAgeMaxMs < nowMs;
    if (forgotten) {
      if (stamp.sequence !== 0) throw new Fault("unknown-producer", { facts: { sequence: stamp.sequence } });
      if (known === undefined) this.#checkRoom(stamp.subject, settings);
      return { append: true };
    }
    if (stamp.epoch < known.epoch) throw new Fault("producer-fenced", { facts: { epoch: known.epoch } });
    const expected = stamp.epoch > known.epoch ? 0 : last(known).sequence + last(known).count;
    if (stamp.sequence === expected) return { append: true };
    const duplicate = this.duplicate(stamp, count);
    if (duplicate !== undefined) return { duplicate };
    throw outOfSequence(expected, stamp.sequence);
  }

  /** What these records came to when they were appended the first time, if that is still remembered. */
  duplicate(stamp: ProducerStamp, count: number): ProducedBatch | undefined {
    const known = this.#find(keyOf(stamp.subject, stamp.id));
    if (known === undefined || known.epoch !== stamp.epoch) return undefined;
    return findDuplicate(known.batches, stamp.sequence, count);
  }

  /** A batch was put at the end of the log; it may still be cut off. */
  stage(stamp: ProducerStamp, batch: ProducedBatch): void {
    this.#tail.push({ stamp, batch });
    const key = keyOf(stamp.subject, stamp.id);
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
      const key = keyOf(stamp.subject, stamp.id);
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
      if (last(producer).timestampMs + settings.producerAgeMaxMs >= batch.timestampMs) break;
      this.#remove(key, producer);
    }
    this.#put(follow(this.#committed.get(keyOf(stamp.subject, stamp.id)), stamp, batch));
  }

  #put(producer: Producer): void {
    const key = keyOf(producer.subject, producer.id);
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

export function outOfSequence(expected: number, sequence: number): Fault {
  return new Fault("out-of-sequence", {
    message: `the producer's next sequence is ${expected}, not ${sequence}`,
    facts: { expected, sequence },
  });
}

function findDuplicate(
  batches: readonly ProducedBatch[],
  sequence: number,
  count: number,
): ProducedBatch | undefined {
  const found = batches.find(
    (batch) => sequence >= batch.sequence && sequence + count <= batch.sequence + batch.count,
  );
  if (found === undefined) return undefined;
  return { ...found, sequence, count, firstOffset: found.firstOffset + (sequence - found.sequence) };
}
