/** Tells whether a segment holds records of named logs that can still be read, so that its files must stay. */
import type { Offset } from "../../types.ts";
import { frameIndex, frameNextOffset, headerBytes } from "../frame/frame.ts";
import type { LogTable } from "../state/log-table.ts";
import type { Segment } from "./segment.ts";

/** Returns true if a committed row still reads records of the segment. @throws what reading the segment throws */
export function holdsLiveBatches(segment: Segment, table: Pick<LogTable, "row">): boolean {
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
