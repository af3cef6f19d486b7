/**
 * The port of the rows of named logs: a database of the rows as of a Raft index, and base files. See README.md.
 *
 * The log module packs the value of a row. Here a value is bytes.
 */
import type { LogId, RaftIndex } from "../types.ts";

/** The row of a named log. */
export interface StoredRow {
  /** At most 2^32 − 1. */
  readonly id: LogId;
  /** 1 to 255 bytes in UTF-8. No two rows have the same name. */
  readonly name: string;
  /** The time from which the row is due, in ms since 1970; 0: always; undefined: never. */
  readonly dueMs: number | undefined;
  /** The rest of the row, packed by the log module. At most `valueBytesMax`. */
  readonly value: Uint8Array;
}

/** What stands beside the rows. */
export interface RowsHead {
  /** All rows are as of this Raft index. */
  readonly index: RaftIndex;
  /** How many rows there are. */
  readonly count: number;
  /** The state that belongs to no row, packed by the log module. At most `valueBytesMax`. */
  readonly value: Uint8Array;
}

/** The new row of a log; undefined if the log was deleted. */
export interface RowChange {
  readonly id: LogId;
  readonly row: StoredRow | undefined;
}

/** A row as it is stored; undefined if it is damaged. */
export interface FoundRow {
  readonly id: LogId;
  readonly row: StoredRow | undefined;
}

/** What the logs of one owner use, packed by the log module; undefined if the owner has no logs. */
export interface OwnerChange {
  /** 1 to 255 bytes in UTF-8. */
  readonly owner: string;
  readonly value: Uint8Array | undefined;
}

/** A place in the order of due rows: by time, then by id. */
export interface DueRow {
  readonly dueMs: number;
  readonly id: LogId;
}

/** Whose database it is. A database of another directory or generation is refused. */
export interface RowsIdentity {
  /** 16 bytes. */
  readonly directoryId: Uint8Array;
  readonly generation: number;
}

/** Names of one page of namesFrom(), and rows of one page of due() or rowsAfter(), at most. */
export const pageRowsMax = 1024;
/** A longer value is refused. */
export const valueBytesMax = 1024 * 1024;

/**
 * The rows of one generation. Reads are synchronous and see the last completed write. They throw Fault "corrupt" for damage,
 * and the error of the disk.
 */
export interface RowDatabase {
  readonly generation: number;
  readonly head: RowsHead;
  row(id: LogId): StoredRow | undefined;
  named(name: string): StoredRow | undefined;
  /** At most `limit` names that begin with `prefix` and come after `after`, in the order of their bytes. */
  namesFrom(prefix: string, after: string, limit: number): readonly string[];
  /** What was written of this owner last. */
  owner(owner: string): Uint8Array | undefined;
  /** At most `limit` rows with dueMs ≤ `ms` after the place `after`, in the order of DueRow. Undefined: from the first one. */
  due(ms: number, after: DueRow | undefined, limit: number): readonly DueRow[];
  /** At most `limit` rows whose ids are above `afterId`, in the order of ids. */
  rowsAfter(afterId: LogId, limit: number): readonly FoundRow[];
  /**
   * Makes the changes and the head durable, in one transaction. An id or owner occurs once; the order does not matter.
   * `changes` is read in slices of 2 ms, so the caller must not change what it iterates over. Resolves once the new rows are
   * durable and visible here. Calls run one after the other. The index of `head` does not decrease.
   * @throws the error of the disk: nothing was changed, the same call works once there is space (ENOSPC, Fault "disk-full" of
   *   the caller); DiskUncertain: nothing may be acknowledged any more; Fault "corrupt"
   */
  write(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): Promise<void>;
  /**
   * Does the same at once, on this thread: for work on a log that no node serves yet. Rows ascend by id. No write() may be under
   * way.
   */
  writeNow(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): void;
  /**
   * Checks the next rows and owners after this place (−1: the first ones) off the main thread. Resolves to the last place that it
   * checked; undefined at the end. The caller waits between the calls: writes wait while one runs.
   * @throws Fault "corrupt", the error of the disk
   */
  scrub(after: number): Promise<number | undefined>;
  /** Does the same at once, on this thread. It changes nothing. */
  scrubNow(after: number): number | undefined;
  /** Waits for the writes that have begun. No call may follow. */
  close(): Promise<void>;
  /** Does the same at once, if no write() was called: for a log that cannot be opened. */
  closeNow(): void;
}

/** All databases of a data directory, and the work on base files. */
export interface RowStore {
  /** The generations that have a database, ascending. Unfinished ones do not count. */
  generations(): readonly number[];
  /**
   * `indexMin`: the lowest index that its head can have. Reads no rows.
   * @throws Fault "corrupt" with the fact `why`: "missing", "foreign" (another directory or generation), "rolled-back" (a lower
   *   index), "wal", "header", "schema", "head", "pages"
   */
  open(identity: RowsIdentity, indexMin: RaftIndex): RowDatabase;
  /**
   * Creates a database without owners. It replaces one of this generation, which must not be open. `from`: the path of a base
   * file, whose rows and head it gets, or the head of a database without rows.
   * @throws Fault "corrupt" if the base file is damaged or two of its rows have one name; the error of the disk
   */
  build(identity: RowsIdentity, from: string | RowsHead): Promise<RowDatabase>;
  /** Does the same at once, on this thread: for work on a log that no node serves yet. */
  buildNow(identity: RowsIdentity, from: string | RowsHead): RowDatabase;
  /**
   * Removes the files of a generation, which must not be open. No error if there are none. To remove a large file takes the file
   * system as long as several turns of the event loop.
   * @throws the error of the disk
   */
  remove(generation: number): Promise<void>;
  /**
   * Writes the base file `to`: the rows of the base file `from` (undefined: none) with the changes. An id occurs once; the order
   * does not matter. `to` and its name are durable once it resolves. It replaces a file of that name.
   * @throws Fault "corrupt" if `from` is damaged or `head.count` is not the number of rows; the error of the disk
   */
  mergeBase(
    from: string | undefined,
    to: string,
    changes: Iterable<RowChange>,
    head: RowsHead,
  ): Promise<void>;
  /** Ends the worker. Databases must be closed before. */
  close(): Promise<void>;
}
