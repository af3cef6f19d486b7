/** Builds, splits and filters batches. */
import type { RecordRun } from "../../types.ts";
import type { Batch, Item } from "./batcher-types.ts";

/** Returns a batch of these runs, which `run` has together, that has not been sent. */
export function batchOf<Ticket>(
  items: readonly Item<Ticket>[],
  run: RecordRun,
  expiresAt: number,
): Batch<Ticket> {
  return {
    items,
    run,
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
  let at = 0;
  return batch.items.map((item) => {
    const bytes = batch.run.bytes.subarray(at, at + item.bytes);
    const part = batchOf([item], { bytes, count: item.count }, batch.expiresAt);
    part.ordinal = batch.ordinal;
    if (batch.stamp !== undefined) part.stamp = { ...batch.stamp, sequence };
    sequence += item.count;
    at += item.bytes;
    return part;
  });
}

/** Returns a batch without the runs whose tickets `isLeftOut`: the same one if there are none, undefined if no run is left. */
export function batchWithout<Ticket>(
  batch: Batch<Ticket>,
  isLeftOut: (ticket: Ticket) => boolean,
): Batch<Ticket> | undefined {
  if (!batch.items.some(({ ticket }) => isLeftOut(ticket))) return batch;
  const items: Item<Ticket>[] = [];
  const bytes = new Uint8Array(batch.run.bytes.length);
  let [from, used, count] = [0, 0, 0];
  for (const item of batch.items) {
    const end = from + item.bytes;
    if (!isLeftOut(item.ticket)) {
      bytes.set(batch.run.bytes.subarray(from, end), used);
      items.push(item);
      used += item.bytes;
      count += item.count;
    }
    from = end;
  }
  if (items.length === 0) return undefined;
  return batchOf(items, { bytes: bytes.subarray(0, used), count }, batch.expiresAt);
}
