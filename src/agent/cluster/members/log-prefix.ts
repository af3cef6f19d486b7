/**
 * Checks whether the log of a new node, such as a restored one, is a prefix of this cluster's log. Only then can the node
 * be added with its log, because Raft trusts the entries that a follower calls committed. Each frame contains the
 * checksum of the previous frame. So two logs with the same frame at one index have the same frames before it, and the
 * check reads one frame.
 */
import { type ChainEnd, frameCrc, type SegmentedLog } from "../../../log/mod.ts";

/** The end of a log: the index and checksum of its last frame. */
export type LogEnd = Pick<ChainEnd, "index" | "crc">;

/**
 * Is the log that ends at `end` a prefix of `log`, the leader's log with all committed entries? A log that ends before
 * `log` starts counts as a prefix: a snapshot replaces it.
 */
export function isPrefixOf(log: Pick<SegmentedLog, "end" | "before" | "entries">, end: LogEnd): boolean {
  const { index, crc } = end;
  const start = log.before;
  if (index === 0 || index < start.index) return true;
  if (index === start.index) return crc === start.crc;
  if (index > log.end.index) return false;
  const [frame] = log.entries(index, 1, index);
  return frame !== undefined && frameCrc(frame, 0) === crc;
}
