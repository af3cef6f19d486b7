/**
 * The state database: rows of the stable store in SQLite, with a write-ahead log and `synchronous = FULL`. A write is one
 * transaction and one fdatasync.
 *
 * It is checked in memory, and settle() opens it on the disk, so a refused start changes no byte. settle() also moves the
 * write-ahead log that it finds into the database, because its content may be in the page cache only. After that the log is
 * moved once it has `checkpointBytes`. Its space on the disk is allocated in advance.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { assert } from "../lib/assert.ts";
import { type Disk, DiskUncertain, errorCode, isNoSpace, syncFile } from "../lib/disk/disk.ts";
import { type Census, censusKey, censusRowOf, type RowChange } from "./census.ts";
import { decodeRow, encodeRow, markOf } from "./row.ts";
import { asOfDisk, damagedDatabase } from "./sqlite-error.ts";
import {
  dropSpare,
  makeSpare,
  pageBytes,
  readState,
  type StateImage,
  spareKey,
  sparePages,
  walOf,
} from "./state-image.ts";

/** The allocated space of the write-ahead log, and the size at which it is moved into the database. */
const walBytes = 1024 * 1024;
const checkpointBytes = walBytes / 2;

interface Live {
  readonly database: DatabaseSync;
  readonly put: StatementSync;
  readonly remove: StatementSync;
}

export class StateDatabase {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #census: Census;
  #sequence: number;
  #image: StateImage | undefined;
  #live: Live | undefined;
  #get: StatementSync;
  #keys: StatementSync;
  /** An upper bound of the bytes in the write-ahead log. */
  #walUsed = 0;
  #failed: unknown;

  /** `writes`: how many writes of it are known to be durable. @throws Fault "corrupt" */
  constructor(disk: Disk, path: string, writes: number) {
    const { image, census, sequence } = readState(disk, path, writes);
    this.#disk = disk;
    this.#path = path;
    this.#census = census;
    this.#sequence = sequence;
    this.#image = image;
    [this.#get, this.#keys] = readers(image.database);
  }

  /** The number of writes to the database. */
  get sequence(): number {
    return this.#sequence;
  }

  /** @throws Fault "corrupt" */
  get(key: string): unknown {
    const mark = this.#census.mark(key);
    if (mark === undefined) return undefined;
    const stored = this.#try(() => this.#get.get(key)?.["value"]);
    if (!(stored instanceof Uint8Array) || markOf(stored) !== mark) throw damagedDatabase(this.#path, "keys");
    return decodeRow(this.#path, key, stored);
  }

  /** Returns all keys with this prefix, sorted. */
  keys(prefix: string): string[] {
    const found = this.#try(() => this.#keys.all(prefix, `${prefix}\uffff`));
    return found.map(({ key }) => String(key)).filter((key) => key !== censusKey && key !== spareKey);
  }

  /**
   * Makes everything that was read durable. Called before the first write of this process, also before that of a vote.
   * @throws the error of the disk, Fault "locked"
   */
  settle(): void {
    this.#open();
  }

  /** Writes one transaction, durable on return. @throws the error of the disk; then nothing was changed */
  write(changes: Readonly<Record<string, unknown>>): void {
    if (this.#failed !== undefined) throw this.#failed;
    const rows = Object.entries(changes).map(
      ([key, value]): RowChange => [key, value === undefined ? undefined : encodeRow(key, value)],
    );
    const sequence = this.#sequence + 1;
    const live = this.#open();
    const census: RowChange = [censusKey, encodeRow(censusKey, this.#census.after(rows, sequence))];
    this.#try(() => commit(live, [...rows, census]));
    this.#census.take(rows);
    this.#sequence = sequence;
    this.#walUsed += bytesOf(rows);
  }

  /** Moves the write-ahead log into the database once it is long. If that fails, a later call does it. */
  tidy(): void {
    if (this.#live === undefined || this.#walUsed < checkpointBytes || this.#failed !== undefined) return;
    const { database } = this.#live;
    try {
      this.#try(() => checkpoint(database, "PASSIVE"));
      this.#walUsed = 0;
      const { freelist_count: free } = database.prepare("PRAGMA freelist_count").get() ?? {};
      if (Number(free) >= sparePages / 2) return;
      this.#try(() => makeSpare(database));
      this.#walUsed = (sparePages + 8) * pageBytes;
    } catch (reason) {
      // The rows are durable in the log. A failed sync is thrown by the next write.
      assert(reason instanceof Error, "an error");
    }
  }

  close(): void {
    const wasLive = this.#live !== undefined;
    this.#image?.close();
    this.#live?.database.close();
    this.#image = undefined;
    this.#live = undefined;
    if (wasLive) this.#keepSpace();
  }

  /** SQLite removes its log when it closes. A log of zeros keeps the space, for a start on a full disk. */
  #keepSpace(): void {
    const path = walOf(this.#path);
    try {
      if (this.#disk.exists(path)) return;
      const wal = this.#disk.open(path, "create");
      try {
        wal.preallocate(walBytes);
      } finally {
        wal.close();
      }
    } catch (reason) {
      // The next start allocates it.
      if (errorCode(reason) === "") throw reason;
    }
  }

  #open(): Live {
    if (this.#live !== undefined) return this.#live;
    this.#checkAccess();
    const options = { timeout: 0, enableForeignKeyConstraints: false };
    const database = this.#try(() => new DatabaseSync(this.#path, options));
    try {
      this.#live = this.#try(() => this.#settle(database));
    } catch (reason) {
      database.close();
      throw reason;
    }
    [this.#get, this.#keys] = this.#try(() => readers(database));
    this.#image?.close();
    this.#image = undefined;
    return this.#live;
  }

  /** SQLite opens a file that it may not write as read-only, and fails later with an error that does not say why. */
  #checkAccess(): void {
    for (const path of [this.#path, walOf(this.#path)]) {
      if (this.#disk.exists(path)) this.#disk.open(path, "write").close();
    }
  }

  #settle(database: DatabaseSync): Live {
    // Exclusive: SQLite uses no shared memory file, and refuses a database that another process has open.
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
      PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`);
    const { journal_mode: mode } = database.prepare("PRAGMA journal_mode").get() ?? {};
    if (mode !== "wal") throw damagedDatabase(this.#path, "header");
    const stored = readers(database)[0].get(censusKey)?.["value"];
    const census =
      stored instanceof Uint8Array ? censusRowOf(decodeRow(this.#path, censusKey, stored)) : undefined;
    if (census?.sequence !== this.#sequence || !this.#census.agreesWith(census)) {
      throw damagedDatabase(this.#path, "keys");
    }
    try {
      dropSpare(database);
      checkpoint(database, "TRUNCATE");
    } catch (reason) {
      if (!isNoSpace(asOfDisk(reason, this.#disk, this.#path))) throw reason;
    }
    this.#allocateLog();
    return {
      database,
      put: database.prepare("REPLACE INTO state VALUES (?, ?)"),
      remove: database.prepare("DELETE FROM state WHERE key = ?"),
    };
  }

  /** Allocates space for the write-ahead log and syncs it: a part that was not moved may be in the page cache only. */
  #allocateLog(): void {
    const path = walOf(this.#path);
    if (!this.#disk.exists(path)) return;
    const wal = this.#disk.open(path, "write");
    try {
      wal.preallocate(walBytes);
    } catch (reason) {
      if (!isNoSpace(reason)) throw reason;
    } finally {
      syncFile(wal);
      wal.close();
    }
  }

  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (reason) {
      const known = asOfDisk(reason, this.#disk, this.#path);
      if (known instanceof DiskUncertain) this.#failed = known;
      throw known;
    }
  }
}

function commit({ database, put, remove }: Live, rows: readonly RowChange[]): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    for (const [key, stored] of rows) {
      if (stored === undefined) remove.run(key);
      else put.run(key, stored);
    }
    database.exec("COMMIT");
  } catch (reason) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw reason;
  }
}

function checkpoint(database: DatabaseSync, mode: "PASSIVE" | "TRUNCATE"): void {
  database.prepare(`PRAGMA wal_checkpoint(${mode})`).all();
}

const readers = (database: DatabaseSync): readonly [get: StatementSync, keys: StatementSync] => [
  database.prepare("SELECT value FROM state WHERE key = ?"),
  database.prepare("SELECT key FROM state WHERE key >= ? AND key < ? ORDER BY key"),
];

/** Returns the most bytes of pages that a write of these rows changes: the path to each row, its value, and the census. */
const bytesOf = (rows: readonly RowChange[]): number =>
  rows.reduce((sum, [, stored]) => sum + (stored?.length ?? 0) + 3 * pageBytes, 3 * pageBytes);
