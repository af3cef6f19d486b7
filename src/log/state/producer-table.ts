/**
 * The producer table: recognizes duplicates and returns the offsets of the first attempt. It is a fold over the log's
 * batches, so every node has the same table: the committed part, and an overlay for batches that may be cut off. Pure.
 *
 * A duplicate is answered from the last five batches of its producer. Older records are in the log, but their offsets
 * are not kept: "sequence-too-old".
 *
 * Invariant: the table is a function of the batches alone. Producers expire by the timestamps and the distance of batches,
 * not by a clock. The limits refuse new producers before their batch is made; the fold itself refuses nothing.
 */
import { Fault } from "../../fault.ts";
import type { LogId, ProducerStamp, RaftIndex } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";
import {
  batchesPerProducerMax,
  findDuplicate,
  type ProducedBatch,
  type ProducerRow,
} from "./produced-batch.ts";
import { outOfSequence, producerFenced, sequenceTooOld, unknownProducer } from "./producer-faults.ts";

/** A producer whose last batch is among the latest entries does not expire. */
const latestEntries = 256;
/** Rows that one step adds to a table. */
const buildRows = 128;

interface Producer {
  readonly subject: string;
  readonly id: bigint;
  readonly logId: LogId;
  readonly epoch: number;
  /** Oldest first, without gaps in the sequences: at least one, at most batchesPerProducerMax. */
  readonly batches: readonly ProducedBatch[];
}

/** Whether records may be appended, or the batch of which they are a duplicate. It is committed once its index is. */
export type ProducerVerdict = { readonly append: true } | { readonly duplicate: ProducedBatch };

/** The producers of a table at some time. */
export interface FrozenProducers {
  readonly producers: readonly Producer[];
}

/** Returns the rows of a part of them. */
export const rowsOf = ({ producers }: FrozenProducers, from: number, to: number): ProducerRow[] =>
  producers.slice(from, to).map(rowOf);

/** The key of a producer in maps. */
export const producerKey = ({
  logId = 0,
  id,
  subject,
}: Pick<ProducerStamp, "logId" | "id" | "subject">): string => `${logId}/${id}/${subject}`;
const last = (producer: Producer): ProducedBatch => producer.batches[producer.batches.length - 1]!;

export class ProducerTable {
  /** In the order of their last batch, so that the first one expires first. */
  readonly #committed = new Map<string, Producer>();
  readonly #perSubject = new Map<string, number>();
  /** The keys of the producers of each named log. */
  readonly #ofLog = new Map<LogId, Set<string>>();
  /** Called for each batch of a producer when it is committed. It must not change the log. */
  onCommitted: ((stamp: ProducerStamp, batch: ProducedBatch) => void) | undefined;
  /** Producers with uncommitted batches. */
  #overlay = new Map<string, Producer>();
  /** The index of the newest batch of any producer. */
  #newest: RaftIndex = 0;
  #uncommitted: { readonly stamp: ProducerStamp; readonly batch: ProducedBatch }[] = [];

  constructor(rows: readonly ProducerRow[] = []) {
    for (const row of rows) this.#put(producerOf(row));
  }

  /** Does the same in steps of less than 1 ms. */
  static *build(rows: readonly ProducerRow[]): Generator<void, ProducerTable> {
    const table = new ProducerTable();
    for (const [n, row] of rows.entries()) {
      table.#put(producerOf(row));
      if (n % buildRows === buildRows - 1) yield;
    }
    return table;
  }

  get size(): number {
    return this.#committed.size;
  }

  /** At least as many as there are once everything is committed. */
  get sizeMax(): number {
    return this.#committed.size + this.#overlay.size;
  }

  /**
   * Checks whether `count` records of this producer may be appended now.
   * @throws Fault "producer-fenced", "unknown-producer", "out-of-sequence" (with `expected`), "sequence-too-old",
   * "too-many-producers"; `written` is "unknown" if an earlier attempt may have appended some of the records
   */
  check(stamp: ProducerStamp, count: number, nowMs: number, settings: LogSettings): ProducerVerdict {
    const known = this.#find(producerKey(stamp));
    if (known === undefined || isExpired(known, { index: this.#newest, timestampMs: nowMs }, settings)) {
      if (stamp.sequence !== 0) throw unknownProducer(stamp.sequence);
      if (known === undefined) this.#checkLimits(stamp.subject, settings);
      return { append: true };
    }
    if (stamp.epoch < known.epoch) throw producerFenced(known.epoch);
    const expected = stamp.epoch > known.epoch ? 0 : last(known).sequence + last(known).count;
    if (stamp.sequence === expected) return { append: true };
    const duplicate = this.duplicate(stamp, count);
    if (duplicate !== undefined) return { duplicate };
    throw this.refusal(stamp, expected);
  }

  /** The fault for a sequence that is neither the expected one nor a known duplicate. */
  refusal(stamp: ProducerStamp, expected: number): Fault {
    const { sequence } = stamp;
    const known = this.#find(producerKey(stamp));
    const oldest = known?.epoch === stamp.epoch ? known.batches[0] : undefined;
    if (known === undefined || oldest === undefined || sequence >= oldest.sequence) {
      return outOfSequence(expected, sequence);
    }
    return sequenceTooOld(sequence, expected, oldest, last(known));
  }

  /** The batch of these records if they are a known duplicate. */
  duplicate(stamp: ProducerStamp, count: number): ProducedBatch | undefined {
    const known = this.#find(producerKey(stamp));
    if (known === undefined || known.epoch !== stamp.epoch) return undefined;
    return findDuplicate(known.batches, stamp.sequence, count);
  }

  /** Adds a batch, the next one of the log. It is not committed yet. */
  stage(stamp: ProducerStamp, batch: ProducedBatch): void {
    this.#newest = Math.max(this.#newest, batch.index);
    this.#uncommitted.push({ stamp, batch });
    const key = producerKey(stamp);
    this.#overlay.set(key, withBatch(this.#find(key), stamp, batch));
  }

  /** Batches up to `index` are committed. `settings` are those for these batches. */
  commitTo(index: RaftIndex, settings: LogSettings): void {
    let done = 0;
    for (const { stamp, batch } of this.#uncommitted) {
      if (batch.index > index) break;
      done++;
      this.#fold(stamp, batch, settings);
      this.onCommitted?.(stamp, batch);
      const key = producerKey(stamp);
      const above = this.#overlay.get(key);
      if (above !== undefined && last(above).index <= index) this.#overlay.delete(key);
    }
    if (done > 0) this.#uncommitted.splice(0, done);
  }

  /** A named log was deleted, and its id will not be used again: its producers are deleted. */
  forgetLog(logId: LogId): void {
    for (const key of [...(this.#ofLog.get(logId) ?? [])]) this.#remove(key, this.#committed.get(key)!);
  }

  /** Batches from `from` on were cut off. */
  truncate(from: RaftIndex): void {
    const kept = this.#uncommitted.filter(({ batch }) => batch.index < from);
    this.#uncommitted = [];
    this.#overlay = new Map();
    for (const { stamp, batch } of kept) this.stage(stamp, batch);
  }

  /** An independent copy. */
  copy(): ProducerTable {
    const copy = new ProducerTable(this.rows());
    for (const { stamp, batch } of this.#uncommitted) copy.stage(stamp, batch);
    return copy;
  }

  /** The committed part, for a checkpoint. */
  rows(): ProducerRow[] {
    return Array.from(this.#committed.values(), rowOf);
  }

  /** The committed part as it is now. A producer never changes, so this takes 1 ms for 100,000 of them. */
  freeze(): FrozenProducers {
    return { producers: [...this.#committed.values()] };
  }

  #find(key: string): Producer | undefined {
    return this.#overlay.get(key) ?? this.#committed.get(key);
  }

  #fold(stamp: ProducerStamp, batch: ProducedBatch, settings: LogSettings): void {
    for (const [key, producer] of this.#committed) {
      if (!isExpired(producer, batch, settings)) break;
      this.#remove(key, producer);
    }
    this.#put(withBatch(this.#committed.get(producerKey(stamp)), stamp, batch));
  }

  #put(producer: Producer): void {
    const key = producerKey(producer);
    this.#newest = Math.max(this.#newest, last(producer).index);
    const before = this.#committed.get(key);
    if (before !== undefined) this.#remove(key, before);
    this.#committed.set(key, producer);
    const { logId } = producer;
    if (logId !== 0) this.#ofLog.set(logId, (this.#ofLog.get(logId) ?? new Set()).add(key));
    this.#perSubject.set(producer.subject, (this.#perSubject.get(producer.subject) ?? 0) + 1);
  }

  #remove(key: string, producer: Producer): void {
    this.#committed.delete(key);
    const ofLog = this.#ofLog.get(producer.logId);
    if (ofLog?.delete(key) === true && ofLog.size === 0) this.#ofLog.delete(producer.logId);
    const left = this.#perSubject.get(producer.subject)! - 1;
    if (left === 0) this.#perSubject.delete(producer.subject);
    else this.#perSubject.set(producer.subject, left);
  }

  /** @throws Fault "too-many-producers" if a new producer of this subject would exceed a limit */
  #checkLimits(subject: string, settings: LogSettings): void {
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

const producerOf = ([subject, id, epoch, batches, logId = 0]: ProducerRow): Producer => ({
  subject,
  id,
  logId,
  epoch,
  batches: batches.map(([index, sequence, count, firstOffset, timestampMs]) => ({
    index,
    sequence,
    count,
    firstOffset,
    timestampMs,
  })),
});

const rowOf = ({ subject, id, logId, epoch, batches }: Producer): ProducerRow => [
  subject,
  id,
  epoch,
  batches.map((batch) => [batch.index, batch.sequence, batch.count, batch.firstOffset, batch.timestampMs]),
  ...(logId === 0 ? ([] as const) : ([logId] as const)),
];

/**
 * Returns true if the producer has expired at that point of the log. A producer of the latest entries does not expire: a
 * node without peers stamps records by its own clock, and when that clock is set forward by weeks, active producers must
 * not expire.
 */
function isExpired(
  producer: Producer,
  at: Pick<ProducedBatch, "index" | "timestampMs">,
  { producerAgeMaxMs, producersPerSubjectMax }: LogSettings,
): boolean {
  const { index, timestampMs } = last(producer);
  const latest = Math.min(latestEntries, Math.floor(producersPerSubjectMax / 4));
  return timestampMs + producerAgeMaxMs < at.timestampMs && at.index - index >= latest;
}

/** The producer after `batch`. A higher epoch or a gap in the sequence starts a new list of batches. */
function withBatch(before: Producer | undefined, stamp: ProducerStamp, batch: ProducedBatch): Producer {
  const { subject, id, epoch, logId = 0 } = stamp;
  const continues =
    before !== undefined &&
    before.epoch === epoch &&
    last(before).sequence + last(before).count === batch.sequence;
  const batches = continues ? [...before.batches.slice(1 - batchesPerProducerMax), batch] : [batch];
  return { subject, id, logId, epoch, batches };
}
