/**
 * Builds another database of rows while the log runs, because the one in use is damaged: the rows at the start of the log are in
 * the base, and the frames of the sealed segments up to a boundary are folded onto them. Works in steps. Memory: the logs of some
 * segments, and of the frames that are folded together.
 */
import { Fault } from "../../fault.ts";
import type { RowDatabase } from "../../rows/mod.ts";
import { frameIndex, frameLogId } from "../frame/frame.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import { CommittedRows } from "../state/committed-rows.ts";
import { LogTable } from "../state/log-table.ts";
import { emptyHead, encodeHead, type RowsAt } from "../state/row-codec.ts";
import { scanSegment } from "./base-fold.ts";
import { buildAtStart } from "./build-at-start.ts";
import type { InSlices } from "./owner-usage.ts";
import type { RowPlace } from "./row-place.ts";

/** Frames of named logs that are folded in one turn. */
const foldedTogether = 1024;

export interface RebuildParts {
  readonly place: RowPlace;
  /** No segment that names logs is removed meanwhile. */
  readonly set: Pick<SegmentSet, "sealed" | "start" | "rowFiles">;
  readonly inSlices: InSlices;
  /** False: the database is not needed any more. */
  readonly goesOn: () => boolean;
}

/**
 * Returns a database of this generation with the rows as of `to`, the end of a sealed segment. Undefined if it is not needed any
 * more. After a failure it is closed, and the next attempt builds it again.
 * @throws Fault "corrupt" if the base or a segment is damaged; the error of the disk
 */
export async function rebuildDatabase(
  parts: RebuildParts,
  generation: number,
  to: RowsAt,
): Promise<RowDatabase | undefined> {
  const { place, set, inSlices } = parts;
  const { end, checkpoint } = set.start;
  const head = checkpoint.logs ?? emptyHead;
  // Segments that name no logs may have been removed up to a later index. The rows are the same there.
  const at = end.index > to.index ? to : { index: end.index, crc: end.crc, head };
  const { base } = set.rowFiles;
  const identity = { directoryId: place.directoryId, generation };
  const database =
    base === 0
      ? await place.store?.build(identity, encodeHead({ ...at, head: emptyHead }))
      : await buildAtStart(place, generation, base, at, inSlices);
  if (database === undefined) return undefined;
  try {
    if (await fold(parts, database, new LogTable(head, new CommittedRows(database)), to)) return database;
  } catch (reason) {
    await database.close();
    throw reason;
  }
  await database.close();
  return undefined;
}

/** Folds the segments up to `to`. Returns false if that is not needed any more. */
async function fold(
  { place, set, inSlices, goesOn }: RebuildParts,
  database: RowDatabase,
  table: LogTable,
  to: RowsAt,
): Promise<boolean> {
  const { stored } = table;
  const named = set.sealed.filter(({ end, meta }) => end.index <= to.index && meta.namesLogs !== false);
  for (const segment of named) {
    if (!goesOn()) return false;
    let frames = 0;
    const stage = (bytes: Uint8Array, at: number): ReturnType<LogTable["stage"]> => {
      if (frameLogId(bytes, at) === 0) return undefined;
      const flaw = table.stage(bytes, at);
      if (flaw === undefined && ++frames % foldedTogether === 0) table.commitTo(frameIndex(bytes, at));
      return flaw;
    };
    await inSlices(scanSegment(segment, stage));
    table.commitTo(segment.end.index);
    if (stored.dirty >= place.checkpoints.rowsMax)
      await write(stored, database, { ...segment.end, head: table.head });
  }
  const { size, nextId } = table.head;
  if (size !== to.head.size || nextId !== to.head.nextId) {
    throw new Fault("corrupt", {
      message: `the frames up to index ${to.index} define ${size} named logs, expected ${to.head.size}`,
      facts: { why: "rows" },
    });
  }
  await write(stored, database, to);
  return goesOn();
}

async function write(rows: CommittedRows, database: RowDatabase, at: RowsAt): Promise<void> {
  rows.freeze();
  await database.write(rows.changes(), encodeHead(at));
  rows.thaw(database);
}
