/** Tells whether a segment holds records of named logs that can still be read, so that its files must stay. */
import { Fault } from "../../fault.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import { frameIndex, frameNextOffset, headerBytes } from "../frame/frame.ts";
import type { LogTable } from "../state/log-table.ts";
import type { SealedSegment } from "./sealed-segment.ts";
import type { Segment } from "./segment.ts";

/**
 * How many of the first sealed segments hold nothing that is needed: no record of `default` from `lowest` on, no index above
 * `lastMax`, and no record of a named log that can still be read. A segment that cannot be read stays.
 */
export function removableSegments(
  sealed: readonly SealedSegment[],
  lowest: Offset,
  lastMax: RaftIndex,
  table: Pick<LogTable, "row">,
): number {
  const needed = sealed.findIndex(
    (segment) =>
      segment.nextOffset > lowest ||
      segment.first + segment.seal.entries - 1 > lastMax ||
      mayHoldLiveBatches(segment, table),
  );
  return needed < 0 ? sealed.length : needed;
}

function mayHoldLiveBatches(segment: SealedSegment, table: Pick<LogTable, "row">): boolean {
  try {
    return holdsLiveBatches(segment, table);
  } catch (reason) {
    if (reason instanceof Fault) return true;
    throw reason;
  }
}

/** Logs that are looked at in one call. A look can read the database of rows. */
const looksMax = 512;
/** The same for steps on a log index that must be rebuilt. */
const rebuildSteps = 64;

/**
 * Returns true if a committed row still reads records of the segment, or may do so: a call looks at a limited number of logs, and
 * the next one continues there. @throws what reading the segment throws
 */
function holdsLiveBatches(segment: SealedSegment, table: Pick<LogTable, "row">): boolean {
  if (!segment.prepareLogs(rebuildSteps)) return true;
  const ids = [...segment.logIds()];
  const last = Math.min(ids.length, segment.deadLogs + looksMax);
  // Records that no row reads any more stay so.
  while (segment.deadLogs < last) {
    if (holdsLiveBatchesOf(segment, ids[segment.deadLogs]!, table)) return true;
    segment.deadLogs++;
  }
  return last < ids.length;
}

function holdsLiveBatchesOf(segment: Segment, id: LogId, table: Pick<LogTable, "row">): boolean {
  const row = table.row(id);
  if (row === undefined || row.lowest === row.next) return false;
  const batches = segment.batchesOf(id)!;
  const last = batches.length - 1;
  const ordinal = batches.ordinal(last);
  const isLastOfLog = row.lastIndex <= segment.first + ordinal;
  if (isLastOfLog || row.lowest <= batches.offset(last)) return true;
  return row.lowest < endOfBatch(segment, ordinal);
}

/** The offset after the last record of a batch. The log index holds only the first one. */
export function endOfBatch(segment: Segment, ordinal: number): Offset {
  const head = new Uint8Array(headerBytes);
  const position = segment.lookup((index) => index.position(ordinal));
  if (segment.read(head, position) < headerBytes || frameIndex(head, 0) !== segment.first + ordinal)
    throw segment.damaged(position, "index");
  return frameNextOffset(head, 0);
}
