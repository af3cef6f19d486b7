/** Where the rows of named logs are on disk, and how they are opened with a log. */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RowDatabase, RowStore } from "../../rows/mod.ts";
import { CommittedRows } from "../state/committed-rows.ts";
import { decodeHead, type RowsAt } from "../state/row-codec.ts";
import type { BasePlace } from "./base-files.ts";
import type { HeldRows } from "./held-rows.ts";

/**
 * When the database of rows is written at the end of a segment: after so many changed rows, creates and deletes, frames about
 * named logs, or bytes of frames. Also if at most `fewRows` changed: then it costs next to nothing.
 */
export interface RowCheckpoints {
  readonly fewRows: number;
  readonly rowsMax: number;
  readonly namesMax: number;
  readonly framesMax: number;
  readonly bytesMax: number;
}

/**
 * A create or delete changes pages all over the database, and costs a start about four times as much as records do. The rows of
 * logs that take records are written less often: a thousand logs change as many pages as a million batches of them.
 */
export const rowCheckpointsDefault: RowCheckpoints = {
  fewRows: 64,
  rowsMax: 16_384,
  namesMax: 2_048,
  framesMax: 131_072,
  bytesMax: 256 * 1024 * 1024,
};

export interface RowPlace extends BasePlace {
  readonly directoryId: Uint8Array;
  /** Without it, all rows stay in memory, and opening folds all frames. */
  readonly store: RowStore | undefined;
  /** Without it, a removal of segments does not let other work run. */
  readonly clock: Clock | undefined;
  readonly logger: Logger | undefined;
  /** See SegmentedLogOptions. */
  readonly checkpoints: RowCheckpoints;
}

/** Rows as of an index. */
export interface StoredRows {
  readonly rows: CommittedRows;
  readonly at: Pick<RowsAt, "index" | "head">;
  /** Given if the database is built again: the rows are moved there while they are folded. */
  readonly held?: HeldRows;
}

export const builtAgain = "the database of named logs cannot be used: it is built again from the frames";

/**
 * Opens the database of this generation. Returns undefined if there is none, or if it is not one of this log: it is missing or
 * damaged, or `isOf` says that no segment begins after its rows. It can be built again from the base and the frames.
 */
export function openDatabase(
  { store, directoryId, logger }: RowPlace,
  generation: number,
  isOf: (at: RowsAt) => boolean,
): StoredRows | undefined {
  if (store === undefined || generation === 0) return undefined;
  let database: RowDatabase | undefined;
  try {
    database = store.open({ directoryId, generation }, 0);
    const at = decodeHead(database.head);
    if (isOf(at)) return { rows: new CommittedRows(database), at };
    logger?.warn({ generation, index: at.index }, builtAgain);
  } catch (reason) {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
    logger?.warn({ generation, err: reason }, builtAgain);
  }
  void database?.close();
  return undefined;
}
