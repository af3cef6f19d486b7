/** The start of a log as a snapshot brings it to another node, without its rows. */
import { atOnce } from "../../../src/lib/time/in-slices.ts";
import type { LogStart, SegmentedLog } from "../../../src/log/mod.ts";
import { packStart, startIn } from "../../../src/replication/snapshot/packed-start.ts";

export function startOf({ rows }: SegmentedLog): LogStart {
  const { rows: _, ...start } = startIn(atOnce(packStart(rows.openStart(), rows.base)));
  return start;
}
