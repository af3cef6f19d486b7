/**
 * Compares the database of rows with the rows that the base and the frames define, as of the index of the database. Reads only.
 */
import { isDeepStrictEqual } from "node:util";
import { Fault } from "../../fault.ts";
import type { FoundRow, RowDatabase, RowStore } from "../../rows/mod.ts";
import type { LogId, RaftIndex } from "../../types.ts";
import type { ChainEnd } from "../frame/chain.ts";
import type { LogRow } from "../state/log-row.ts";
import type { LogTable } from "../state/log-table.ts";
import { decodeHead, decodeRow, dueMsOf, type RowsAt } from "../state/row-codec.ts";
import type { Find } from "./check-index.ts";

/**
 *   missing    the log is in the frames and not in the database
 *   extra      the log is in the database and not in the frames
 *   damaged    the stored row has a wrong checksum or is malformed
 *   changed    some of its fields have other values
 */
export type RowDifferenceKind = "missing" | "extra" | "damaged" | "changed";

/** A log whose row in the database is not the one that the frames define. */
export interface RowDifference {
  readonly kind: RowDifferenceKind;
  readonly id: LogId;
  /** As the frames have it; of an extra row as the database has it; undefined if that cannot be read. */
  readonly name: string | undefined;
  /** The fields of a changed row that differ. `due`: when it is found for expiry, in ms since 1970. */
  readonly fields: readonly FieldDifference[];
}

export interface FieldDifference {
  readonly field: keyof LogRow | "due";
  readonly expected: unknown;
  readonly found: unknown;
}

/** What is wrong with a database of rows. It can always be built again. */
export interface RowsReport {
  /** Its file in `meta`. */
  readonly file: string;
  /** The rows are as of this Raft index. */
  readonly index: RaftIndex;
  /** How many rows were compared. */
  readonly rows: number;
  /** How many of them differ. */
  readonly different: number;
  /** The first ones that differ, at most `differencesMax`. */
  readonly differences: readonly RowDifference[];
}

const differencesMax = 100;
const pageMax = 1000;

/** The database of a log that is being verified. */
export class RowsCheck {
  readonly file: string;
  readonly #database: RowDatabase;
  readonly #at: RowsAt;
  readonly #find: Find;
  #report: RowsReport | undefined;

  private constructor(file: string, database: RowDatabase, find: Find) {
    this.file = file;
    this.#database = database;
    this.#find = find;
    this.#at = decodeHead(database.head);
  }

  /**
   * Opens the database of this generation. Returns undefined if there is none, or if it is damaged, which is found. A database
   * that is missing is no damage: the next checkpoint creates one.
   */
  static open(
    store: RowStore,
    directoryId: Uint8Array,
    generation: number,
    find: Find,
  ): RowsCheck | undefined {
    if (!store.generations().includes(generation)) return undefined;
    const file = rowsFileOf(generation);
    let database: RowDatabase | undefined;
    try {
      database = store.open({ directoryId, generation }, 0);
      return new RowsCheck(file, database, find);
    } catch (reason) {
      void database?.close();
      if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
      find(file, Number(reason.facts.position ?? 0), String(reason.facts.why ?? "pages"));
      return undefined;
    }
  }

  /** The differences, once they were looked for. */
  get report(): RowsReport | undefined {
    return this.#report;
  }

  /** The frames up to `end` are folded into the table: compares, if the database is as of that index. */
  reached(end: Pick<ChainEnd, "index" | "crc">, table: Pick<LogTable, "head" | "rows">): void {
    const { index, crc, head } = this.#at;
    if (end.index !== index || this.#report !== undefined) return;
    if (crc !== end.crc || !isDeepStrictEqual(head, table.head)) this.#find(this.file, 0, "head");
    const report = this.#compare(table.rows());
    this.#report = report;
    if (report.different > 0) this.#find(this.file, 0, "rows");
    // If rows differ, so do the trees.
    else this.#checkTrees();
  }

  /** The whole log was read: a database that is as of an index inside it, at which no segment begins, is not one of this log. */
  end(start: RaftIndex, isComplete: boolean): void {
    if (this.#report === undefined && isComplete && this.#at.index >= start)
      this.#find(this.file, 0, "index");
    void this.#database.close();
  }

  /** Goes through both by id. */
  #compare(rows: Iterable<LogRow>): RowsReport {
    const differences: RowDifference[] = [];
    let [compared, different] = [0, 0];
    const add = (difference: RowDifference | undefined): void => {
      compared++;
      if (difference === undefined) return;
      different++;
      if (differences.length < differencesMax) differences.push(difference);
    };
    const stored = this.#stored();
    try {
      let next = stored.next();
      for (const row of rows) {
        for (; !next.done && next.value.id < row.id; next = stored.next()) add(extra(next.value));
        if (next.done || next.value.id > row.id) add(missing(row));
        else {
          add(differenceOf(row, next.value));
          next = stored.next();
        }
      }
      for (; !next.done; next = stored.next()) add(extra(next.value));
    } catch (reason) {
      this.#unreadable(reason, "");
    }
    return { file: this.file, index: this.#at.index, rows: compared, different, differences };
  }

  *#stored(): Generator<FoundRow, undefined> {
    for (let afterId = -1; ; ) {
      const page = this.#database.rowsAfter(afterId, pageMax);
      yield* page;
      if (page.length < pageMax) return;
      afterId = page[page.length - 1]!.id;
    }
  }

  #unreadable(reason: unknown, prefix: string): void {
    const isOurs = reason instanceof Fault && reason.kind === "corrupt" && isPathOf(reason, this.file);
    if (!isOurs) throw reason;
    this.#find(this.file, 0, `${prefix}${String(reason.facts.why ?? "pages")}`);
  }

  /** Checks that each row is found by its name and its due time, and that nothing else is. */
  #checkTrees(): void {
    try {
      for (let afterId: LogId | undefined = -1; afterId !== undefined; )
        afterId = this.#database.scrubNow(afterId);
    } catch (reason) {
      this.#unreadable(reason, "trees-");
    }
  }
}

const isPathOf = ({ facts }: Fault, file: string): boolean => String(facts.file ?? "").endsWith(file);
const databaseName = /^logs-\d+\.db$/;
const rowsFileOf = (generation: number): string => `logs-${generation}.db`;

/** Returns true for the name of a database of rows. */
export const isRowsFile = (file: string): boolean => databaseName.test(file);

const missing = ({ id, name }: LogRow): RowDifference => ({ kind: "missing", id, name, fields: [] });
const extra = ({ id, row }: FoundRow): RowDifference => ({ kind: "extra", id, name: row?.name, fields: [] });

function differenceOf(expected: LogRow, { id, row: stored }: FoundRow): RowDifference | undefined {
  const { name } = expected;
  const found = stored === undefined ? undefined : orMalformed(() => decodeRow(stored));
  if (found === undefined) return { kind: "damaged", id, name, fields: [] };
  const fields: FieldDifference[] = [];
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]) as Set<keyof LogRow>;
  for (const field of names) {
    if (isDeepStrictEqual(expected[field], found[field])) continue;
    fields.push({ field, expected: expected[field], found: found[field] });
  }
  const dueMs = dueMsOf(expected);
  if (stored?.dueMs !== dueMs) fields.push({ field: "due", expected: dueMs, found: stored?.dueMs });
  return fields.length === 0 ? undefined : { kind: "changed", id, name, fields };
}

function orMalformed<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (reason) {
    if (reason instanceof Fault && reason.kind === "corrupt") return undefined;
    throw reason;
  }
}
