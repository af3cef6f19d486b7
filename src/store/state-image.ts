/**
 * Creates and checks the bytes of a state database in memory. Nothing in the directory changes.
 *
 *   CREATE TABLE state(key TEXT PRIMARY KEY, value BLOB NOT NULL)       rows of row.ts, one of them the census
 *
 * In WAL mode, pages of 4 KiB, UTF-8, with free pages in the file so that small writes need no space on the disk.
 */
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Disk, readWhole } from "../lib/disk/disk.ts";
import { Census, type CensusRow, censusKey, censusRowOf, type RowChange } from "./census.ts";
import { decodeRow, encodeRow, isSoundRow } from "./row.ts";
import { damagedDatabase, resultCode } from "./sqlite-error.ts";
import { imageOf, readWal } from "./sqlite-wal.ts";

export const pageBytes = 4096;
/** Free pages that a database has for small writes. */
export const sparePages = 64;
/** The row that makeSpare() adds and removes. A crash between the two leaves it. It has no data. */
export const spareKey = "~spare";

/** SQLite follows a symbolic link and keeps the write-ahead log beside the file that it leads to. */
export function walOf(path: string): string {
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && existsSync(path);
  return `${isLink ? realpathSync(path) : path}-wal`;
}

const schema = "CREATE TABLE state(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT";
const fileMagic = Buffer.from("SQLite format 3\0", "latin1");
/** Read and write versions of the format in the header: 1 is a rollback journal, 2 a write-ahead log. */
const [versionsAt, journalVersion, walVersion] = [18, 1, 2];
/** A larger database is examined in a temporary file instead of in memory. */
const memoryBytesMax = 64 * 1024 * 1024;

export interface SoundState {
  readonly image: StateImage;
  readonly census: Census;
  readonly sequence: number;
}

/** Returns the bytes of a new database with these rows. */
export function encodeState(
  rows: readonly (readonly [key: string, value: unknown])[],
  sequence: number,
): Uint8Array {
  const stored = rows.map(([key, value]) => [key, encodeRow(key, value)] as const);
  const scratch = typeof DatabaseSync.prototype.serialize === "function" ? undefined : temporaryDirectory();
  const database = new DatabaseSync(scratch === undefined ? ":memory:" : join(scratch, "state.db"));
  try {
    database.exec(
      `PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; ${schema}`,
    );
    makeSpare(database);
    database.exec("BEGIN");
    const insert = database.prepare("INSERT INTO state VALUES (?, ?)");
    for (const row of stored) insert.run(...row);
    insert.run(censusKey, encodeRow(censusKey, new Census().after(stored, sequence)));
    database.exec("COMMIT");
    const bytes = scratch === undefined ? database.serialize() : readFileSync(join(scratch, "state.db"));
    bytes.fill(walVersion, versionsAt, versionsAt + 2);
    return bytes;
  } finally {
    database.close();
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
  }
}

/** Adds free pages to the file of a database. Two transactions are necessary: one would leave the pages unwritten. */
export function makeSpare(database: DatabaseSync): void {
  database.prepare("REPLACE INTO state VALUES (?, zeroblob(?))").run(spareKey, sparePages * pageBytes);
  dropSpare(database);
}

/** Frees the pages that a crash left in the row of makeSpare(). */
export function dropSpare(database: DatabaseSync): void {
  database.prepare("DELETE FROM state WHERE key = ?").run(spareKey);
}

/**
 * Reads the database of this path with its write-ahead log and checks every page, every row and the census. `writes` is the
 * number of its writes that are known to be durable.
 * @throws Fault "corrupt"
 */
export function readState(disk: Disk, path: string, writes: number): SoundState {
  const { image, damagedAt } = openImage(disk, path);
  try {
    if (damagedAt !== undefined) throw damagedDatabase(walOf(path), "wal", undefined, damagedAt);
    const { census, found } = takeCensus(path, image);
    if (found === undefined || !census.agreesWith(found)) throw damagedDatabase(path, "keys");
    if (found.sequence < writes) throw damagedDatabase(path, "rolled-back");
    return { image, census, sequence: found.sequence };
  } catch (reason) {
    image.close();
    throw resultCode(reason) === undefined ? reason : damagedDatabase(path, "pages", reason);
  }
}

/** The readable rows of a damaged database. A value that cannot be read is an error. */
export interface SalvagedState {
  readonly rows: ReadonlyMap<string, { readonly value: unknown } | { readonly error: unknown }>;
  /** True if the keys are those of the last write. */
  readonly whole: boolean;
  readonly sequence: number;
}

/**
 * Reads what is readable in a damaged database. Returns undefined if that is nothing. `writes` is the number of its writes
 * that are known to be durable.
 */
export function salvageState(disk: Disk, path: string, writes: number): SalvagedState | undefined {
  const opened = outcomeOf(() => openImage(disk, path));
  if ("error" in opened) return undefined;
  const { image, damagedAt } = opened.value;
  const { stored, isSound } = readRows(image);
  image.close();
  if (!isSound && stored.size === 0) return undefined;
  const census = stored.get(censusKey);
  stored.delete(censusKey);
  stored.delete(spareKey);
  const found =
    census === undefined ? undefined : quietly(() => censusRowOf(decodeRow(path, censusKey, census)));
  const counted = new Census();
  counted.take([...stored]);
  const agrees = found !== undefined && counted.agreesWith(found) && found.sequence >= writes;
  return {
    rows: new Map([...stored].map(([key, value]) => [key, outcomeOf(() => decodeRow(path, key, value))])),
    whole: isSound && agrees && damagedAt === undefined,
    sequence: found?.sequence ?? 0,
  };
}

/** Returns every readable row. Rows after a damaged page are found only in reverse order. */
function readRows({ database }: StateImage): { stored: Map<string, Uint8Array>; isSound: boolean } {
  const stored = new Map<string, Uint8Array>();
  let isSound = true;
  for (const order of ["ASC", "DESC"]) {
    try {
      const all = database.prepare(`SELECT key, value FROM state ORDER BY key ${order}`);
      for (const { key, value } of all.iterate()) {
        if (value instanceof Uint8Array) stored.set(String(key), value);
      }
    } catch (reason) {
      if (resultCode(reason) === undefined) throw reason;
      isSound = false;
    }
  }
  const checked = outcomeOf(() => database.prepare("PRAGMA integrity_check(1)").get()?.["integrity_check"]);
  return { stored, isSound: isSound && "value" in checked && checked.value === "ok" };
}

function quietly<T>(work: () => T): T | undefined {
  const outcome = outcomeOf(work);
  return "value" in outcome ? outcome.value : undefined;
}

export function outcomeOf<T>(work: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: work() };
  } catch (error) {
    return { error };
  }
}

/** A database in memory; in a temporary file if it is large or Node cannot open it in memory. It is only read. */
export class StateImage {
  readonly database: DatabaseSync;
  readonly #scratch: string | undefined;

  constructor(bytes: Uint8Array, inMemory = bytes.length <= memoryBytesMax) {
    if (inMemory && typeof DatabaseSync.prototype.deserialize === "function") {
      this.database = new DatabaseSync(":memory:");
      this.database.deserialize(bytes);
    } else {
      this.#scratch = temporaryDirectory();
      const path = join(this.#scratch, "state.db");
      writeFileSync(path, bytes, { mode: 0o600 });
      this.database = new DatabaseSync(path, { readOnly: true });
    }
    this.database.exec("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON");
  }

  close(): void {
    this.database.close();
    if (this.#scratch !== undefined) rmSync(this.#scratch, { recursive: true, force: true });
  }
}

function openImage(disk: Disk, path: string): { image: StateImage; damagedAt: number | undefined } {
  const database = readWhole(disk, path);
  const wal = disk.exists(walOf(path)) ? readWhole(disk, walOf(path)) : new Uint8Array(0);
  const contents = readWal(wal, pageBytes);
  const bytes = imageOf(database, wal, contents, pageBytes);
  checkHeader(path, bytes);
  bytes.fill(journalVersion, versionsAt, versionsAt + 2);
  try {
    return { image: new StateImage(bytes), damagedAt: contents.damagedAt };
  } catch (reason) {
    throw resultCode(reason) === undefined ? reason : damagedDatabase(path, "pages", reason);
  }
}

function checkHeader(path: string, bytes: Uint8Array): void {
  const sound =
    bytes.length >= pageBytes &&
    Buffer.compare(bytes.subarray(0, fileMagic.length), fileMagic) === 0 &&
    bytes[16]! * 256 + bytes[17]! === pageBytes &&
    bytes[versionsAt] === walVersion &&
    bytes[versionsAt + 1] === walVersion;
  if (!sound) throw damagedDatabase(path, "header");
}

/** Checks pages, schema and rows. */
function takeCensus(
  path: string,
  { database }: StateImage,
): { census: Census; found: CensusRow | undefined } {
  const checked = database.prepare("PRAGMA integrity_check(1)").get();
  if (checked?.["integrity_check"] !== "ok") throw damagedDatabase(path, "pages");
  const objects = database.prepare("SELECT sql FROM sqlite_schema").all();
  if (objects.length !== 1 || objects[0]?.["sql"] !== schema) throw damagedDatabase(path, "schema");
  const census = new Census();
  let found: CensusRow | undefined;
  for (const { key, value } of database.prepare("SELECT key, value FROM state").iterate()) {
    if (typeof key !== "string" || !(value instanceof Uint8Array)) throw damagedDatabase(path, "schema");
    if (key === spareKey) continue;
    const decoded = isSoundRow(key, value) ? undefined : decodeRow(path, key, value);
    if (key !== censusKey) census.take([[key, value] satisfies RowChange]);
    else found = censusRowOf(decoded ?? decodeRow(path, key, value));
  }
  return { census, found };
}

const temporaryDirectory = (): string => mkdtempSync(join(tmpdir(), "tailrace-state-"));
