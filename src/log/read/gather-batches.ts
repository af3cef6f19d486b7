/**
 * Reads the next batches of a named log from a segment, where the batches of other logs lie between them.
 *
 *   plan    the log index and the offset index give the place of each batch. Near ones form a run, which is read at once
 *   hint    the system is informed of all runs, and of those that the next call will read: it loads them at the same time
 *   read    only the log's own frames are kept, one after another
 *
 * Each frame that is kept is checked: its checksum, index and records, its log, its offset, and that it follows the one before.
 */
import type { BatchSlice, LogId, Offset, RaftIndex } from "../../types.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameBytesMax,
  frameKind,
  frameLogId,
  frameNextOffset,
  frameTakesOffsets,
  prefixBytes,
} from "../frame/frame.ts";
import { type BatchExtent, extentIn, type LogBatches } from "../index/log-index.ts";
import type { Segment } from "../segment/segment.ts";
import { flawAt } from "../segment/stored-frame.ts";
import { removedRecords } from "./removed-records.ts";

/** Bytes of other logs that are read between two batches, because one read costs more. */
const gapBytesMax = 16 * 1024;
/** A run with gaps has this size at most. */
const spanBytesMax = 64 * 1024;
/** The hint reaches about so many batches beyond those that are read. */
const batchesAhead = 64;

export interface GatherLimits {
  /** Of all batches together. One batch is read even if it is larger. */
  readonly bytesMax: number;
  /** How many runs are read. */
  readonly runsMax: number;
  /** The last index that is committed. */
  readonly commitIndex: RaftIndex;
  /** Called when the hints reach the end of the segment, before it is read. */
  readonly atEnd?: (() => void) | undefined;
  /** Returns true when the time for reads of the disk is over: the slice then ends. Default: never. */
  readonly isLate?: (() => boolean) | undefined;
}

/** Where a read begins. */
export interface GatherStart {
  readonly batches: LogBatches;
  /** The number of the log's batch in the segment. */
  readonly first: number;
  /** The disk was given a hint of the batches before this number. */
  readonly hinted: number;
}

export interface GatheredBatches {
  readonly slice: BatchSlice;
  /** The number of the log's next batch in the segment. */
  readonly next: number;
  /** The disk was given a hint of the batches before this number. */
  readonly hinted: number;
}

interface Extent {
  readonly ordinal: number;
  readonly offset: Offset;
  readonly position: number;
  readonly bytes: number;
}

/** Batches that are read at once. */
interface Run {
  /** The number of its first batch. */
  readonly first: number;
  readonly extents: Extent[];
  /** Without the gaps. */
  bytes: number;
}

interface RunPlan {
  readonly runs: readonly Run[];
  readonly bytes: number;
  /** The number of the batch after the last one. */
  readonly next: number;
}

const startOf = ({ extents }: Run): number => extents[0]!.position;
const endOf = ({ extents }: Run): number =>
  extents[extents.length - 1]!.position + extents[extents.length - 1]!.bytes;
const spanOf = (run: Run): number => endOf(run) - startOf(run);

/** Runs with gaps are read into this. It is free again after each call. */
let gapped: Uint8Array | undefined;

/**
 * Returns batches of the log `id`, at least one, into `buffer` if they fit. Damage after the first batch ends the slice; the
 * next read begins there.
 * @throws Fault "corrupt"; "unavailable" if the first one is settled
 */
export function gatherBatches(
  segment: Segment,
  id: LogId,
  start: GatherStart,
  limits: GatherLimits,
  buffer?: Uint8Array,
): GatheredBatches {
  const { runs, bytes, next: end } = planRuns(segment, start.batches, start.first, limits);
  if (runs.length === 0) throw segment.damaged(0, "log index");
  const hinted = giveHints(segment, start, runs, end, limits);
  const fits = buffer !== undefined && bytes <= buffer.length;
  const frames = fits ? buffer.subarray(0, bytes) : Buffer.allocUnsafeSlow(bytes);
  const firstOffset = runs[0]!.extents[0]!.offset;
  let nextOffset = firstOffset;
  let [at, next] = [0, start.first];
  reading: for (const run of runs) {
    if (at > 0 && limits.isLate?.() === true) break;
    const filled = readRun(segment, run, frames, at);
    for (const extent of run.extents) {
      const flaw = flawOf(
        frames.subarray(at, Math.min(filled, at + extent.bytes)),
        segment,
        id,
        extent,
        nextOffset,
      );
      if (flaw === settled && next === start.first) throw removedRecords(`log ${id}`, extent.offset);
      if (flaw !== undefined && next === start.first) throw segment.damaged(extent.position, flaw);
      if (flaw !== undefined) break reading;
      nextOffset = frameNextOffset(frames, at);
      at += extent.bytes;
      next++;
    }
  }
  return { slice: { frames: frames.subarray(0, at), firstOffset, nextOffset }, next, hinted };
}

/** Returns where batch `i` of the log stands. Undefined if the next plan has to find it elsewhere. */
type FindExtent = (i: number) => BatchExtent | undefined;

/** Plans the runs from batch `first` on. Without any: the indexes do not agree about that batch. */
function planRuns(segment: Segment, batches: LogBatches, first: number, limits: GatherLimits): RunPlan {
  if (first === batches.length) return { runs: [], bytes: 0, next: first };
  // A log index that knows the places spares the offset index, which has those of all logs.
  if (batches.extent?.(first) !== undefined)
    return runsOf(segment, batches, first, limits, (i) => batches.extent?.(i));
  return segment.lookup((index) =>
    runsOf(segment, batches, first, limits, (i) => extentIn(index, batches.ordinal(i), segment.bytes)),
  );
}

function runsOf(
  segment: Segment,
  batches: LogBatches,
  first: number,
  { bytesMax, runsMax, commitIndex }: GatherLimits,
  extentOf: FindExtent,
): RunPlan {
  const runs: Run[] = [];
  let [bytes, next] = [0, first];
  for (; next < batches.length; next++) {
    const ordinal = batches.ordinal(next);
    if (segment.first + ordinal > commitIndex) break;
    const place = extentOf(next);
    if (place === undefined || place.bytes < prefixBytes || place.bytes > frameBytesMax) break;
    const extent = { ordinal, offset: batches.offset(next), ...place };
    if (bytes > 0 && bytes + extent.bytes > bytesMax) break;
    const run = runs[runs.length - 1];
    if (run !== undefined && joins(run, extent)) {
      run.extents.push(extent);
      run.bytes += extent.bytes;
    } else {
      if (runs.length === runsMax) break;
      runs.push({ first: next, extents: [extent], bytes: extent.bytes });
    }
    bytes += extent.bytes;
  }
  return { runs, bytes, next };
}

/** Returns true if the batch is read together with the run before it. */
function joins(run: Run, { position, bytes }: Extent): boolean {
  const gap = position - endOf(run);
  if (gap === 0 && run.bytes === spanOf(run)) return true;
  return gap >= 0 && gap <= gapBytesMax && position + bytes - startOf(run) <= spanBytesMax;
}

/** Tells the disk of the runs and of those after them. Returns the number of the first batch without a hint. */
function giveHints(
  segment: Segment,
  { batches, first, hinted }: GatherStart,
  runs: readonly Run[],
  end: number,
  limits: GatherLimits,
): number {
  if (limits.bytesMax === 0) return hinted;
  const give = (run: Run): void => segment.willRead(startOf(run), spanOf(run));
  // The first run is read at once.
  for (const run of runs) if (run.first > first && run.first >= hinted) give(run);
  const from = Math.max(end, hinted);
  const next = from > end + batchesAhead ? from : hintBatches(segment, batches, from, limits);
  if (next === batches.length) limits.atEnd?.();
  return next;
}

/** Tells the disk of about 64 batches from batch `from` on. Returns the number of the first batch without a hint. */
export function hintBatches(
  segment: Segment,
  batches: LogBatches,
  from: number,
  limits: Pick<GatherLimits, "bytesMax" | "commitIndex">,
): number {
  const { runs, next } = planRuns(segment, batches, from, { ...limits, runsMax: batchesAhead });
  for (const run of runs) segment.willRead(startOf(run), spanOf(run));
  return next;
}

/** Reads the batches of a run to `at` of `frames`, without the gaps. Returns where what was read ends there. */
function readRun(segment: Segment, run: Run, frames: Uint8Array, at: number): number {
  const start = startOf(run);
  if (run.bytes === spanOf(run)) return at + segment.read(frames.subarray(at, at + run.bytes), start);
  gapped ??= Buffer.allocUnsafeSlow(spanBytesMax);
  const filled = segment.read(gapped.subarray(0, spanOf(run)), start);
  let to = at;
  for (const { position, bytes } of run.extents) {
    const from = position - start;
    if (from + bytes > filled) break;
    frames.set(gapped.subarray(from, from + bytes), to);
    to += bytes;
  }
  return to;
}

/** The records of a batch are settled. */
const settled = "settled";

/** Returns what is wrong with a frame, or undefined. A wrong position never shows one log's records in another one. */
function flawOf(
  frame: Uint8Array,
  segment: Segment,
  id: LogId,
  { ordinal, offset, bytes }: Extent,
  nextOffset: Offset,
): string | undefined {
  const flaw = flawAt(frame, 0, frame.length, segment.first + ordinal);
  if (flaw !== undefined) return flaw;
  if (frameBytes(frame, 0) !== bytes) return "length";
  if (frameLogId(frame, 0) !== id || !frameTakesOffsets(frame, 0)) return "offset";
  if (frameBaseOffset(frame, 0) !== offset || offset !== nextOffset) return "offset";
  return frameKind(frame, 0) === batchKind.data ? undefined : settled;
}
