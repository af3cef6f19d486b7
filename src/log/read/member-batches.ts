/**
 * Finds the batches of several logs in a segment by its indexes, and reads them. Batches of other logs are not read,
 * except small gaps between two batches.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameKind,
  frameLogId,
  frameTakesOffsets,
} from "../frame/frame.ts";
import type { LogBatches } from "../index/log-index.ts";
import { lastAtOrBefore } from "../index/offset-index.ts";
import type { Segment } from "../segment/segment.ts";
import { readChunk } from "../segment/stored-frame.ts";
import type { Members } from "./segment-members.ts";

/** A batch of one of the logs. */
export interface PlannedBatch {
  readonly ordinal: number;
  readonly id: LogId;
  /** The offset of its first record, in its log. */
  readonly offset: Offset;
}

export interface BatchPlan {
  /** In the order of the Raft log. */
  readonly batches: readonly PlannedBatch[];
  /** The ordinal from which on the next plan looks. */
  readonly next: number;
}

/** Batches of one log that follow each other. */
export interface ReadBatches {
  readonly id: LogId;
  readonly index: RaftIndex;
  readonly count: number;
  readonly frames: Uint8Array;
}

/** A plan looks at so many batches of the segment at most, unless none of them is of the logs. */
const windowBatches = 4_096;
/** Logs of which a plan asks in one turn whether they are wanted: each needs its row, which takes 10 to 100 µs from the disk. */
const asksAtOnce = 64;
/** No further batch. */
const none = 0xffff_ffff;
/** Bytes of other logs that are read between two batches, because one read costs more. */
const gapBytesMax = 16 * 1024;

/**
 * Plans the batches of the members from ordinal `from` up to `last`. It yields after each `idsAtOnce` logs, of which it asks for
 * those with a batch there whether they are wanted.
 * @throws Fault "corrupt" if an index and the store are damaged
 */
export function* planBatches(
  segment: Segment,
  { from, last }: { readonly from: number; readonly last: number },
  members: Members,
  isWanted: (id: LogId) => boolean,
  idsAtOnce: number,
): Generator<void, BatchPlan, void> {
  const end = Math.min(last, from + windowBatches - 1);
  const batches: PlannedBatch[] = [];
  let next = last + 1;
  let [looked, asked] = [0, 0];
  const asksMax = Math.min(asksAtOnce, idsAtOnce);
  const ask = (id: LogId): boolean => ++asked > 0 && isWanted(id);
  for (const [k, id] of members.ids.entries()) {
    const before = members.from[k]!;
    if (before <= end) {
      if (looked++ % idsAtOnce === idsAtOnce - 1 || asked >= asksMax) {
        asked = 0;
        yield;
      }
      const found =
        id === 0 ? addDefault(segment, from, end, batches) : addNamed(segment, id, from, end, batches, ask);
      members.from[k] = found ?? none;
    }
    next = Math.min(next, members.from[k]!);
  }
  batches.sort((one, other) => one.ordinal - other.ordinal);
  return { batches, next };
}

/** Adds the batches of a named log in `from … end`, if it is wanted. Returns the ordinal of the next one after them. */
function addNamed(
  segment: Segment,
  id: LogId,
  from: number,
  end: number,
  batches: PlannedBatch[],
  isWanted: (id: LogId) => boolean,
): number | undefined {
  const all = segment.batchesOf(id);
  if (all === undefined) return undefined;
  let i = firstFrom(all, from);
  if (i < all.length && all.ordinal(i) <= end) {
    if (!isWanted(id)) i = firstFrom(all, end + 1);
    for (; i < all.length && all.ordinal(i) <= end; i++)
      batches.push({ ordinal: all.ordinal(i), id, offset: all.offset(i) });
  }
  return i < all.length ? all.ordinal(i) : undefined;
}

/**
 * Does the same for `default`. An entry holds the next offset of `default` before its frame, so its batches are those after
 * which the offset rises.
 */
function addDefault(
  segment: Segment,
  from: number,
  end: number,
  batches: PlannedBatch[],
): number | undefined {
  return segment.lookup((index) => {
    const after = (k: number): Offset => (k + 1 < index.length ? index.offset(k + 1) : segment.nextOffset);
    for (let ordinal = from; ordinal <= end; ordinal++)
      if (after(ordinal) > index.offset(ordinal))
        batches.push({ ordinal, id: 0, offset: index.offset(ordinal) });
    if (end + 1 >= index.length) return undefined;
    const next = lastAtOrBefore(index, index.offset(end + 1));
    return after(next) > index.offset(next) ? next : undefined;
  });
}

/** The first batch of the log at this ordinal or after it, or their number. */
function firstFrom(batches: LogBatches, ordinal: number): number {
  let [low, high] = [0, batches.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batches.ordinal(middle) < ordinal) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Reads planned batches from number `at` on: about `maxBytes` with the gaps between them, at least one. Each one is checked:
 * its checksum, its log and its offset. Returns those of one log that follow each other as one, and how many batches it read.
 * @throws Fault "corrupt"
 */
export function readPlanned(
  segment: Segment,
  planned: readonly PlannedBatch[],
  at: number,
  maxBytes: number,
): { readonly read: readonly ReadBatches[]; readonly count: number } {
  const first = planned[at]!;
  const { position, bytes, last } = segment.lookup((index) => {
    const endOf = (k: number): number => (k + 1 < index.length ? index.position(k + 1) : segment.bytes);
    const start = index.position(first.ordinal);
    let end = endOf(first.ordinal);
    let lastOrdinal = first.ordinal;
    for (let i = at + 1; i < planned.length; i++) {
      const { ordinal } = planned[i]!;
      if (index.position(ordinal) - end > gapBytesMax || endOf(ordinal) - start > maxBytes) break;
      end = endOf(ordinal);
      lastOrdinal = ordinal;
    }
    return { position: start, bytes: end - start, last: lastOrdinal };
  });
  const chunk = readChunk(segment, segment.first + first.ordinal, position, bytes, segment.first + last);
  const read: ReadBatches[] = [];
  let count = 0;
  let ordinal = first.ordinal;
  let open: { id: LogId; from: number; since: number; count: number } | undefined;
  const close = (end: number): void => {
    if (open === undefined) return;
    const { id, from, since, count: found } = open;
    read.push({ id, index: segment.first + since, count: found, frames: chunk.subarray(from, end) });
    open = undefined;
  };
  for (let byte = 0; byte < chunk.length; byte += frameBytes(chunk, byte), ordinal++) {
    const wanted = planned[at + count];
    if (wanted?.ordinal !== ordinal) {
      close(byte);
      continue;
    }
    checkBatch(segment, chunk, byte, wanted, position);
    count++;
    // A settled batch is passed over, as one that was trimmed.
    if (frameKind(chunk, byte) === batchKind.settled) {
      close(byte);
      continue;
    }
    if (open?.id !== wanted.id) close(byte);
    open ??= { id: wanted.id, from: byte, since: ordinal, count: 0 };
    open.count++;
  }
  close(chunk.length);
  return { read, count };
}

/** A wrong position never shows one log's records in another one. */
function checkBatch(
  segment: Segment,
  chunk: Uint8Array,
  at: number,
  { id, offset }: PlannedBatch,
  position: number,
): void {
  const isIt =
    frameTakesOffsets(chunk, at) && frameLogId(chunk, at) === id && frameBaseOffset(chunk, at) === offset;
  if (!isIt) throw segment.damaged(position + at, "offset");
}
