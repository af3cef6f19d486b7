/**
 * The tables of a database of rows, and how connections to it are set up.
 *
 *   rows.value := crc:u32le value          crc of the whole row, packed as in row-codec.ts
 *
 * Each id, name and due time is in two trees, so that no single damaged page can make a row look absent.
 */
import { DatabaseSync } from "node:sqlite";
import { Fault } from "../../fault.ts";
import { readU32le, writeU32le } from "../../lib/bytes.ts";
import type { Disk } from "../../lib/disk/disk.ts";
import { asOfDisk, resultCode } from "../../store/mod.ts";
import { rowChecksum } from "../row-codec.ts";
import type { StoredRow } from "../rows.ts";

export const pageBytes = 4096;
export const tables: readonly string[] = [
  "CREATE TABLE head(id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT",
  "CREATE TABLE rows(id INTEGER PRIMARY KEY, name TEXT NOT NULL, due INTEGER, value BLOB NOT NULL) STRICT",
  "CREATE TABLE owners(id INTEGER PRIMARY KEY, name TEXT NOT NULL, value BLOB NOT NULL) STRICT",
];
/** Created after the rows of a new database: that takes a fraction of the time. */
export const indexes: readonly string[] = [
  "CREATE UNIQUE INDEX names ON rows(name)",
  "CREATE INDEX names_again ON rows(name)",
  "CREATE INDEX ids_again ON rows(id)",
  "CREATE INDEX due ON rows(due) WHERE due IS NOT NULL",
  "CREATE INDEX due_again ON rows(due) WHERE due IS NOT NULL",
  "CREATE UNIQUE INDEX owner_names ON owners(name)",
  "CREATE INDEX owner_names_again ON owners(name)",
];
const uniqueViolation = 2067;
const crcBytes = 4;

export const walOf = (path: string): string => `${path}-wal`;

/** Opens a database in WAL mode. `cacheKiB` bounds the pages that the connection keeps. */
export function connect(path: string, readOnly: boolean, cacheKiB: number): DatabaseSync {
  // The worker may wait for a read of the main thread, but not the other way round.
  const timeout = readOnly ? 10 : 1000;
  const database = new DatabaseSync(path, { readOnly, timeout, enableForeignKeyConstraints: false });
  try {
    database.exec(`PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF;
      PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = ${-cacheKiB}`);
  } catch (reason) {
    database.close();
    throw reason;
  }
  return database;
}

/** Returns true if the database has these tables and no others. */
export function hasSchema(database: DatabaseSync): boolean {
  const found = database.prepare("SELECT sql FROM sqlite_schema ORDER BY rowid LIMIT 12").all();
  const wanted = [...tables, ...indexes];
  return found.length === wanted.length && found.every(({ sql }, at) => sql === wanted[at]);
}

export function storedValue(row: StoredRow): Uint8Array {
  const stored = new Uint8Array(crcBytes + row.value.length);
  writeU32le(stored, 0, rowChecksum(row));
  stored.set(row.value, crcBytes);
  return stored;
}

/** Returns the row in the columns of a result, or undefined if it is damaged. */
export function rowOf(
  id: number,
  { name, due, value }: Readonly<Record<string, unknown>>,
): StoredRow | undefined {
  if (typeof name !== "string" || !(value instanceof Uint8Array) || value.length < crcBytes) return undefined;
  if (due !== null && (typeof due !== "number" || due < 0)) return undefined;
  const row = { id, name, dueMs: due ?? undefined, value: value.subarray(crcBytes) };
  return readU32le(value, 0) === rowChecksum(row) ? row : undefined;
}

/** `why`: see RowStore.open(), and "row", "name", "count". */
export function damagedRows(file: string, why: string, cause?: unknown, position = 0): Fault<"corrupt"> {
  return new Fault("corrupt", {
    message: `${file} is damaged (${why}), ${sentences[why] ?? "it is not as it was written"}`,
    facts: { file, position, why },
    cause,
  });
}

const sentences: Readonly<Record<string, string>> = {
  missing: "there is no such file",
  foreign: "it belongs to another directory or generation",
  "rolled-back": "its last writes are gone",
  wal: "a transaction in the middle of its write-ahead log is damaged",
  name: "two rows have the same name",
  count: "rows have come or gone without a write",
};

/** Runs work with SQLite. @throws the errors of RowDatabase */
export function withSqlite<T>(disk: Disk, path: string, work: () => T): T {
  try {
    return work();
  } catch (reason) {
    if (reason instanceof Fault) throw reason;
    if (resultCode(reason) === uniqueViolation) throw damagedRows(path, "name", reason);
    // A damaged integer that is not a safe one.
    if ((reason as { code?: unknown }).code === "ERR_OUT_OF_RANGE") throw damagedRows(path, "row", reason);
    const known = asOfDisk(reason, disk, path);
    const isDamage = known instanceof Fault && known.kind === "corrupt";
    throw isDamage ? damagedRows(path, "pages", reason) : known;
  }
}
