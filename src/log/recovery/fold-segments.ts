/**
 * Folds the state of a log from its sealed segments, starting at the newest checkpoint that is known to be committed.
 */
import type { RaftIndex } from "../../types.ts";
import { scanStore } from "../frame/chain.ts";
import type { Catalog, LogStart } from "../segment/catalog.ts";
import { damageRefusal } from "../segment/damage.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentMeta } from "../segment/segment.ts";
import { LogState, type StateCheckpoint } from "../state/log-state.ts";

/**
 * Returns the state at the end of the sealed segments, or before `last`, the active segment, if that has a checkpoint.
 * The log is known to be committed up to `savedCommit`.
 * @throws Fault "corrupt"
 */
export function foldSealed(
  catalog: Catalog,
  start: LogStart,
  savedCommit: RaftIndex,
  sealed: readonly SealedSegment[],
  last: SegmentMeta | undefined,
): LogState {
  const metas = sealed.map(({ meta }) => meta);
  if (last !== undefined) metas.push(last);
  const committed = Math.max(savedCommit, start.end.index);
  let from = metas.length;
  let checkpoint: StateCheckpoint | undefined;
  while (checkpoint === undefined && from > 0) {
    from--;
    const { before } = metas[from]!;
    if (before.index <= committed) checkpoint = catalog.checkpoint(before.index + 1);
  }
  const state = LogState.from(checkpoint ?? start.checkpoint);
  for (const segment of sealed.slice(from)) foldSegment(segment, state);
  return state;
}

function foldSegment(segment: SealedSegment, state: LogState): void {
  const scan = scanStore(segment, segment.bytes, segment.meta.before, (bytes, at) => state.stage(bytes, at));
  if (scan.flaw === undefined) return;
  segment.damaged(scan.position, scan.flaw);
  throw damageRefusal({ path: segment.path, position: scan.position, why: scan.flaw });
}
