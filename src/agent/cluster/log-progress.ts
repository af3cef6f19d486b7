/** A member's progress in the log, as the leader reports it to other nodes. Part of the peer protocol ("extents"). */
import type { Replica } from "../../replication/mod.ts";
import type { Offset } from "../../types.ts";

export interface LogProgress {
  readonly commitIndex: number;
  readonly lastOffset: Offset;
  /** Records that the leader has and the member does not. */
  readonly lag: number;
}

/** The progress of a member that has all entries up to `commitIndex`. `log` is the leader's log. */
export function progressAt(log: Replica["storedLog"], commitIndex: number): LogProgress {
  const next = log.offsetAfter(commitIndex);
  return { commitIndex, lastOffset: Math.max(0, next - 1), lag: Math.max(0, log.bounds.next - next) };
}
