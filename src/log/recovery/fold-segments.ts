/**
 * The state of a log as its segments tell it: from the newest checkpoint that is known to be committed, folding what
 * follows.
 *
 * Never: folds what the checkpoint holds already.
 */
import type { RaftIndex } from "../../types.ts";
import { scanStore } from "../frame/chain.ts";
import type { Catalog, LogStart } from "../segment/catalog.ts";
import { refusal } from "../segment/damage.ts";
import type { SealedSegment, Segment, SegmentMeta } from "../segment/segment.ts";
import { LogState, type StateCheckpoint } from "../state/log-state.ts";

/**
 * The state at the end of the sealed segments, or before `last` where that has a checkpoint. `known`: up to here the
 * log is committed. Throws Fault "corrupt".
 */
export function foldSealed(
  catalog: Catalog,
  start: LogStart,
  known: RaftIndex,
  sealed: readonly SealedSegment[],
  last: SegmentMeta | undefined,
): LogState {
  const metas = sealed.map(({ meta }) => meta);
  if (last !== undefined) metas.push(last);
  const committed = Math.max(known, start.end.index);
  let from = metas.length;
  let checkpoint: StateCheckpoint | undefined;
  while (checkpoint === undefined && from > 0) {
    from--;
    const { before } = metas[from]!;
    if (before.index <= committed) checkpoint = catalog.checkpoint(before.index + 1);
  }
  const state = LogState.from(checkpoint ?? start.checkpoint);
  for (const segment of sealed.slice(from)) foldSegment(segment, segment.meta, state);
  return state;
}

/** Adds what a segment holds. Throws Fault "corrupt". */
export function foldSegment(segment: Segment, { before }: SegmentMeta, state: LogState): void {
  const scan = scanStore(segment, segment.bytes, before, (bytes, at) => {
    state.stage(bytes, at);
  });
  if (scan.flaw === undefined) return;
  segment.damaged(scan.position, scan.flaw);
  throw refusal({ path: segment.path, position: scan.position, why: scan.flaw });
}
