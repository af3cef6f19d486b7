/**
 * Tells callers when this node's log shows the records that they wait for, known by producer, epoch and sequence: an
 * append whose answer was lost is then written for certain, and has its offset. Pure.
 */
import { type ProducedBatch, producerKey } from "../../log/mod.ts";
import type { Appended, ProducerStamp } from "../../types.ts";

interface Watched {
  readonly epoch: number;
  readonly sequence: number;
  readonly count: number;
  readonly seen: (appended: Appended) => void;
}

export class ProducedRunWatch {
  /** By producer, then by sequence. */
  readonly #watched = new Map<string, Map<number, Set<Watched>>>();

  /** Calls back once when a committed batch holds all of these records. The answer takes that back. */
  observe(
    { subject, id, epoch, sequence }: ProducerStamp,
    count: number,
    seen: (appended: Appended) => void,
  ): () => void {
    const key = producerKey(subject, id);
    const one: Watched = { epoch, sequence, count, seen };
    const bySequence = this.#watched.get(key) ?? new Map<number, Set<Watched>>();
    this.#watched.set(key, bySequence);
    const alike = bySequence.get(sequence) ?? new Set();
    bySequence.set(sequence, alike.add(one));
    return () => {
      const found = bySequence.get(sequence);
      if (found?.delete(one) !== true || found.size > 0) return;
      bySequence.delete(sequence);
      if (bySequence.size === 0 && this.#watched.get(key) === bySequence) this.#watched.delete(key);
    };
  }

  /** A batch of this producer was committed here. */
  committed(stamp: ProducerStamp, batch: ProducedBatch): void {
    if (this.#watched.size === 0) return;
    const bySequence = this.#watched.get(producerKey(stamp.subject, stamp.id));
    if (bySequence === undefined) return;
    const end = batch.sequence + batch.count;
    const isInside = ({ epoch, sequence, count }: Watched): boolean =>
      epoch === stamp.epoch && sequence >= batch.sequence && sequence + count <= end;
    const found: Watched[] = [];
    const look = (alike: Set<Watched> | undefined): void => {
      for (const one of alike ?? []) if (isInside(one)) found.push(one);
    };
    if (bySequence.size <= batch.count) for (const alike of bySequence.values()) look(alike);
    else for (let sequence = batch.sequence; sequence < end; sequence++) look(bySequence.get(sequence));
    for (const { sequence, count, seen } of found) {
      const firstOffset = batch.firstOffset + (sequence - batch.sequence);
      seen({ firstOffset, count, timestampMs: batch.timestampMs, duplicate: false });
    }
  }
}
