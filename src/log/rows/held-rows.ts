/**
 * The rows of a log while one thread folds them from the base and the frames, and no node serves them. Only so many of them are
 * in memory: when more have changed, they are moved into a database.
 */
import { isNoSpace } from "../../lib/disk/disk.ts";
import { type RowDatabase, type RowsHead, readBase } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import type { LogStart } from "../segment/catalog.ts";
import { CommittedRows } from "../state/committed-rows.ts";
import type { LogRow } from "../state/log-row.ts";
import { decodeRow, emptyHead, encodeHead, type RowsAt } from "../state/row-codec.ts";
import { type BasePlace, basePath, loadBase, openBaseAt, sourceOf } from "./base-files.ts";
import { writeOwnersNow } from "./owner-usage.ts";

/** Creates the database, with the rows of the base file at this path, or empty with this head. */
export type CreateDatabase = (from: string | RowsHead) => RowDatabase;

function buildWithOwners(place: BasePlace, index: RaftIndex, create: CreateDatabase): RowDatabase {
  const database = create(basePath(place, index));
  try {
    writeOwnersNow(place, index, database);
    return database;
  } catch (reason) {
    void database.close();
    throw reason;
  }
}

/** Rows in memory: about 32 MiB. */
const heldMax = 65_536;

export class HeldRows {
  #rows = new CommittedRows();
  #create: CreateDatabase | undefined;
  readonly #max: number;
  #database: RowDatabase | undefined;

  /** Without `create`, and while its disk is full, all rows stay in memory. */
  constructor(create: CreateDatabase | undefined, rowsMax = heldMax) {
    this.#create = create;
    this.#max = rowsMax;
  }

  /** Load the base before the first use. */
  get rows(): CommittedRows {
    return this.#rows;
  }

  /** The database, if the rows did not fit into memory. */
  get database(): RowDatabase | undefined {
    return this.#database;
  }

  /** Takes the rows of a base file, of which there are `size`. @throws Fault "corrupt" */
  load(place: BasePlace, index: RaftIndex, size: number): void {
    if (index !== 0 && size > this.#max) {
      openBaseAt(place, index).close();
      this.#database = this.#ifSpace((create) => buildWithOwners(place, index, create));
    }
    if (this.#database?.head.count === size) this.#rows = new CommittedRows(this.#database);
    else loadBase(place, index, size, this.#rows);
  }

  /**
   * Takes the rows of a start that came from outside, block by block if they are in a base file. Rows that do not fit into memory
   * go to an empty database.
   * @throws Fault "corrupt"
   */
  take({ end, checkpoint, rows = [] }: LogStart): void {
    const head = checkpoint.logs ?? emptyHead;
    const source = sourceOf(rows);
    let size = 0;
    const blocks = source === undefined ? [rows as readonly LogRow[]] : readBase(source).blocks();
    for (const block of blocks) {
      for (const row of block) this.#rows.put(row.id, undefined, "value" in row ? decodeRow(row) : row);
      size += block.length;
      this.keep({ index: end.index, crc: end.crc, head: { ...head, size } });
    }
  }

  /** All frames up to `at` are folded. Moves the rows into the database if many have changed. */
  keep(at: RowsAt): void {
    if (this.#rows.dirty >= this.#max) this.#move(at);
  }

  /** Moves all rows into the database, if some are there. It is then as of `at`. */
  settle(at: RowsAt): void {
    if (this.#database !== undefined) this.#move(at);
  }

  #move(at: RowsAt): void {
    this.#ifSpace((create) => {
      this.#database ??= create(encodeHead({ ...at, head: { ...at.head, size: 0 } }));
      this.#rows.moveTo(this.#database, encodeHead(at));
      return undefined;
    });
  }

  /** A full disk changes nothing: the rows stay in memory. */
  #ifSpace<T>(work: (create: CreateDatabase) => T): T | undefined {
    if (this.#create === undefined) return undefined;
    try {
      return work(this.#create);
    } catch (reason) {
      if (!isNoSpace(reason)) throw reason;
      this.#create = undefined;
      return undefined;
    }
  }
}
