/**
 * Calls back when this node's log shows the records of an append, identified by producer, epoch and sequence. An append
 * whose response was lost is then known to be written, with its offset. Pure.
 */
import { type ProducedBatch, producerKey } from "../../log/mod.ts";
import type { Appended, ProducerStamp } from "../../types.ts";

interface WatchedRun {
  readonly epoch: number;
  readonly sequence: number;
  readonly count: number;
  readonly seen: (appended: Appended) => void;
}

export class ProducedRunWatch {
  /** By producer, then by sequence. */
  readonly #watched = new Map<string, Map<number, Set<WatchedRun>>>();

  /**
   * Calls `seen` for each committed batch that holds all of these records, until the returned function is called.
   */
  observe(stamp: ProducerStamp, count: number, seen: (appended: Appended) => void): () => void {
    const { epoch, sequence } = stamp;
    const key = producerKey(stamp);
    const watched: WatchedRun = { epoch, sequence, count, seen };
    const bySequence = this.#watched.get(key) ?? new Map<number, Set<WatchedRun>>();
    this.#watched.set(key, bySequence);
    const sameSequence = bySequence.get(sequence) ?? new Set();
    bySequence.set(sequence, sameSequence.add(watched));
    return () => {
      const found = bySequence.get(sequence);
      if (found?.delete(watched) !== true || found.size > 0) return;
      bySequence.delete(sequence);
      if (bySequence.size === 0 && this.#watched.get(key) === bySequence) this.#watched.delete(key);
    };
  }

  /** Reports that a batch of this producer was committed on this node. */
  committed(stamp: ProducerStamp, batch: ProducedBatch): void {
    if (this.#watched.size === 0) return;
    const bySequence = this.#watched.get(producerKey(stamp));
    if (bySequence === undefined) return;
    const { logId = 0 } = stamp;
    const named = logId === 0 ? {} : { logId };
    const end = batch.sequence + batch.count;
    const isInside = ({ epoch, sequence, count }: WatchedRun): boolean =>
      epoch === stamp.epoch && sequence >= batch.sequence && sequence + count <= end;
    const found: WatchedRun[] = [];
    const collect = (runs: Set<WatchedRun> | undefined): void => {
      for (const run of runs ?? []) if (isInside(run)) found.push(run);
    };
    if (bySequence.size <= batch.count) for (const runs of bySequence.values()) collect(runs);
    else for (let sequence = batch.sequence; sequence < end; sequence++) collect(bySequence.get(sequence));
    for (const { sequence, count, seen } of found) {
      const firstOffset = batch.firstOffset + (sequence - batch.sequence);
      seen({ firstOffset, count, timestampMs: batch.timestampMs, duplicate: false, ...named });
    }
  }
}
