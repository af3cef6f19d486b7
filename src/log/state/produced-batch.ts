/**
 * The batches of a producer that a duplicate is answered from. Pure.
 *
 * Sequences count records: a batch of n records at sequence s covers s … s+n−1, and the next one begins at s+n.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";

/** How many batches of a producer are kept, to answer its duplicates. */
export const batchesPerProducerMax = 5;

/** A batch that a producer appended. */
export interface ProducedBatch {
  readonly index: RaftIndex;
  readonly sequence: number;
  readonly count: number;
  readonly firstOffset: Offset;
  readonly timestampMs: number;
}

/** A producer in a checkpoint. */
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
  /** Absent for `default`. */
  logId?: LogId,
];

/**
 * Returns the batch that `count` records at `sequence` formed when they were first appended. They must be in one of
 * `batches`, or in several of them whose offsets have no gap, so that each record has the offset it had.
 */
export function findDuplicate(
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
