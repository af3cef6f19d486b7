/**
 * Folds the state of a log from its sealed segments, starting at the newest checkpoint that is known to be committed. The rows of
 * named logs are as of an earlier segment: the frames in between are folded onto them first.
 */
import { Fault } from "../../fault.ts";
import type { RaftIndex } from "../../types.ts";
import { scanStore, type VisitFrame } from "../frame/chain.ts";
import { frameLogId } from "../frame/frame.ts";
import type { StoredRows } from "../rows/row-place.ts";
import type { Catalog, LogStart } from "../segment/catalog.ts";
import { damageRefusal } from "../segment/damage.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentMeta } from "../segment/segment.ts";
import { LogState, type StateCheckpoint } from "../state/log-state.ts";
import { LogTable } from "../state/log-table.ts";
import { emptyHead } from "../state/row-codec.ts";

export interface FoldedLog {
  readonly catalog: Catalog;
  /** The log before its first segment. */
  readonly start: LogStart;
  /** The log is known to be committed up to this index. */
  readonly savedCommit: RaftIndex;
  readonly sealed: readonly SealedSegment[];
  /** The active segment. */
  readonly last: SegmentMeta | undefined;
}

/**
 * Returns the state at the end of the sealed segments, or before the active one, if that has a checkpoint.
 * @throws Fault "corrupt"
 */
export function foldSealed(log: FoldedLog, stored: StoredRows): LogState {
  const { catalog, start, sealed, last } = log;
  const metas = sealed.map(({ meta }) => meta);
  if (last !== undefined) metas.push(last);
  const committed = Math.max(log.savedCommit, start.end.index, stored.at.index);
  let from = metas.length;
  let checkpoint: StateCheckpoint | undefined;
  while (checkpoint === undefined && from > 0) {
    from--;
    const { before } = metas[from]!;
    if (before.index <= committed) checkpoint = soundCheckpoint(catalog, before.index + 1, from === 0);
  }
  const begin = checkpoint ?? start.checkpoint;
  if (begin.logs !== undefined) foldRows(stored, sealed.slice(0, from), begin);
  const { end } = checkpoint === undefined ? start : { end: metas[from]!.before };
  stored.held?.settle({ ...end, head: begin.logs ?? emptyHead });
  const state = LogState.from(begin, stored.rows);
  for (const segment of sealed.slice(from)) foldSegment(segment, (bytes, at) => state.stage(bytes, at));
  return state;
}

/** Without the file of its producers, an earlier checkpoint is used, unless it is the first. @throws Fault "corrupt" */
function soundCheckpoint(catalog: Catalog, first: RaftIndex, isFirst: boolean): StateCheckpoint | undefined {
  try {
    return catalog.checkpoint(first);
  } catch (reason) {
    if (isFirst || !(reason instanceof Fault) || reason.facts.why !== "producers") throw reason;
    return undefined;
  }
}

/** Folds the segments after the rows onto them. Then they must be as many as `begin` says. */
function foldRows(
  { rows, at, held }: StoredRows,
  sealed: readonly SealedSegment[],
  begin: StateCheckpoint,
): void {
  const table = new LogTable(at.head, rows);
  for (const segment of sealed) {
    if (segment.first <= at.index || segment.meta.namesLogs === false) continue;
    foldSegment(segment, (bytes, at) => (frameLogId(bytes, at) === 0 ? undefined : table.stage(bytes, at)));
    table.commitTo(segment.end.index);
    held?.keep({ ...segment.end, head: table.head });
  }
  const { nextId, size } = begin.logs ?? emptyHead;
  const { head } = table;
  if (head.nextId === nextId && head.size === size) return;
  if (rows.database !== undefined) rows.damaged();
  const why = "rows";
  throw new Fault("corrupt", {
    message: `there are ${head.size} named logs up to id ${head.nextId - 1}, the checkpoint has ${size} up to ${nextId - 1}`,
    facts: { file: "meta", position: 0, why },
  });
}

function foldSegment(segment: SealedSegment, visit: VisitFrame): void {
  const scan = scanStore(segment, segment.bytes, segment.meta.before, visit);
  if (scan.flaw === undefined) return;
  segment.damaged(scan.position, scan.flaw);
  throw damageRefusal({ path: segment.path, position: scan.position, why: scan.flaw });
}
