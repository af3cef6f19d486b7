/** Tells whether a segment holds records of named logs that can still be read, so that its files must stay. */
import { Fault } from "../../fault.ts";
import type { Offset, RaftIndex } from "../../types.ts";
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

function mayHoldLiveBatches(segment: Segment, table: Pick<LogTable, "row">): boolean {
  try {
    return holdsLiveBatches(segment, table);
  } catch (reason) {
    if (reason instanceof Fault) return true;
    throw reason;
  }
}

/** Returns true if a committed row still reads records of the segment. @throws what reading the segment throws */
function holdsLiveBatches(segment: Segment, table: Pick<LogTable, "row">): boolean {
  for (const id of segment.logIds()) {
    const row = table.row(id);
    if (row === undefined || row.lowest === row.next) continue;
    const batches = segment.batchesOf(id)!;
    const last = batches.length - 1;
    const ordinal = batches.ordinal(last);
    const isLastOfLog = row.lastIndex <= segment.first + ordinal;
    if (isLastOfLog || row.lowest <= batches.offset(last)) return true;
    if (row.lowest < endOfBatch(segment, ordinal)) return true;
  }
  return false;
}

/** The offset after the last record of a batch. The log index holds only the first one. */
function endOfBatch(segment: Segment, ordinal: number): Offset {
  const head = new Uint8Array(headerBytes);
  const position = segment.lookup((index) => index.position(ordinal));
  if (segment.read(head, position) < headerBytes || frameIndex(head, 0) !== segment.first + ordinal)
    throw segment.damaged(position, "index");
  return frameNextOffset(head, 0);
}
