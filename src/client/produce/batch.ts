/** Builds, splits and joins batches. */
import type { RecordRun } from "../../types.ts";
import type { Batch, Item } from "./batcher-types.ts";

/** Returns a batch of these runs that has not been sent. */
export function batchOf<Ticket>(items: readonly Item<Ticket>[], expiresAt: number): Batch<Ticket> {
  let bytes = 0;
  let count = 0;
  for (const { run } of items) {
    bytes += run.bytes.length;
    count += run.count;
  }
  return {
    items,
    bytes,
    count,
    expiresAt,
    stamp: undefined,
    ordinal: 0,
    state: "waiting",
    notBefore: 0,
    isUncertain: false,
    wasSentAlone: false,
    attempts: 0,
    lastFault: undefined,
  };
}

/** Returns a batch for each run. Together they have the sequences of the whole batch. */
export function splitBatch<Ticket>(batch: Batch<Ticket>): Batch<Ticket>[] {
  let sequence = batch.stamp?.sequence ?? 0;
  return batch.items.map((item) => {
    const part = batchOf([item], batch.expiresAt);
    part.ordinal = batch.ordinal;
    if (batch.stamp !== undefined) part.stamp = { ...batch.stamp, sequence };
    sequence += part.count;
    return part;
  });
}

/** Returns the runs of a batch as one run. */
export function runOf<Ticket>(batch: Batch<Ticket>): RecordRun {
  if (batch.items.length === 1) return batch.items[0]!.run;
  const bytes = new Uint8Array(batch.bytes);
  let at = 0;
  for (const { run } of batch.items) {
    bytes.set(run.bytes, at);
    at += run.bytes.length;
  }
  return { bytes, count: batch.count };
}
