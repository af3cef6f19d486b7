/** Tells whether a segment holds records of named logs that can still be read, so that its files must stay. Pure. */
import type { LogTable } from "../state/log-table.ts";
import type { Segment } from "./segment.ts";

/** Returns true if a committed row still reads records of the segment. */
export function holdsLiveBatches(segment: Segment, table: Pick<LogTable, "row">): boolean {
  for (const id of segment.logIds()) {
    const row = table.row(id);
    if (row === undefined || row.lowest === row.next) continue;
    const batches = segment.batchesOf(id)!;
    const last = batches.length - 1;
    const isLastOfLog = row.lastIndex <= segment.first + batches.ordinal(last);
    // The last batch here may end after the offset at which it begins, so it is kept until that is below the lowest.
    if (isLastOfLog || row.lowest <= batches.offset(last)) return true;
  }
  return false;
}
