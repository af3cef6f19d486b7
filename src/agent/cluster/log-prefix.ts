/**
 * Is the log that somebody brings along, such as a restored one, the beginning of this cluster's? Only then may it be
 * counted on: Raft takes for matched whatever a follower calls committed. Each frame names the checksum of the one
 * before, so where two logs have the same last frame they have the same frames.
 *
 * Never: reads more than one frame.
 */
import { type ChainEnd, frameCrc, type SegmentedLog } from "../../log/mod.ts";

/** Where a log ends, as far as it is asked for. */
export type BroughtEnd = Pick<ChainEnd, "index" | "crc">;

/** `log`: a leader's, which holds all that was committed. What ends before it starts is replaced by a snapshot. */
export function isBeginningOf(
  log: Pick<SegmentedLog, "end" | "start" | "entries">,
  brought: BroughtEnd,
): boolean {
  const { index, crc } = brought;
  const start = log.start.end;
  if (index === 0 || index < start.index) return true;
  if (index === start.index) return crc === start.crc;
  if (index > log.end.index) return false;
  const [frame] = log.entries(index, 1, index);
  return frame !== undefined && frameCrc(frame, 0) === crc;
}
