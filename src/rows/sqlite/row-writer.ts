/**
 * Writes the rows of a database, in the worker: one transaction for all changes and the head, sorted by id.
 *
 * The cache is small, so SQLite writes pages to the write-ahead log while the transaction runs, and this file syncs the log
 * every few MiB. One sync of everything at the end would make the syncs of votes and segments wait.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Disk, type DiskFile, isNoSpace, syncFile } from "../../lib/disk/disk.ts";
import type { RowChange, RowsHead, RowsIdentity, StoredRow } from "../rows.ts";
import { decodeHead, encodeHead, type HeadRecord } from "./head-record.ts";
import { RowScrub } from "./row-scrub.ts";
import { connect, damagedRows, hasSchema, storedValue, walOf, withSqlite } from "./schema.ts";

const cacheKiB = 8 * 1024;
const syncBytes = 4 * 1024 * 1024;
/** Changes between two looks at the length of the log. */
const lookEvery = 64;

/** `rows` ascend by id. An owner without a value is removed. */
export interface WriterChanges {
  readonly rows: Iterable<RowChange>;
  readonly owners: Iterable<StoredRow>;
}

export class RowWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof statementsOf>;
  #scrub: RowScrub | undefined;

  /** @throws Fault "corrupt", the error of the disk */
  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
    this.#database = this.#try(() => connect(path, false, cacheKiB));
    try {
      if (!this.#try(() => hasSchema(this.#database))) throw damagedRows(path, "schema");
      this.#statements = this.#try(() => statementsOf(this.#database));
      this.#settle();
    } catch (reason) {
      this.#database.close();
      throw reason;
    }
  }

  /** @throws the errors of RowDatabase.write() */
  write(identity: RowsIdentity, changes: WriterChanges, head: RowsHead): void {
    this.#try(() => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        this.#change(identity, changes, head);
        this.#database.exec("COMMIT");
      } catch (reason) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw reason;
      }
    });
  }

  /** Moves the write-ahead log into the database and empties it. */
  checkpoint(): void {
    this.#try(() => this.#database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all());
  }

  /** See RowDatabase.scrub(). */
  scrub(identity: RowsIdentity, after: number): number | undefined {
    return this.#try(() => {
      this.#scrub ??= new RowScrub(this.#database, this.#path);
      return this.#scrub.check(after, this.#head(identity).head);
    });
  }

  close(): void {
    this.#database.close();
  }

  /** Moves what a killed process has left in the log: it may be in the page cache only. */
  #settle(): void {
    try {
      this.checkpoint();
    } catch (reason) {
      if (!isNoSpace(reason)) throw reason;
    }
  }

  #change(identity: RowsIdentity, { rows, owners }: WriterChanges, head: RowsHead): void {
    const { head: old } = this.#head(identity);
    let count = old.count;
    let seen = 0;
    const pace = new LogPace(this.#disk, walOf(this.#path));
    try {
      for (const owner of owners) {
        this.#putOwner(owner);
        if (++seen % lookEvery === 0) pace.look();
      }
      for (const change of rows) {
        count += change.row === undefined ? this.#delete(change.id) : this.#put(change.row);
        if (++seen % lookEvery === 0) pace.look();
      }
    } finally {
      pace.close();
    }
    if (count !== head.count) throw damagedRows(this.#path, "count");
    this.#statements.head.run(encodeHead(identity, head));
  }

  /** Returns by how much the number of rows changes. */
  #delete(id: number): number {
    return -Number(this.#statements.remove.run(id).changes);
  }

  #put(row: StoredRow): number {
    const { id, name, dueMs } = row;
    const [due, value] = [dueMs ?? null, storedValue(row)];
    // The indexes do not change.
    if (Number(this.#statements.value.run(value, id, name, due).changes) === 1) return 0;
    const removed = this.#delete(id);
    this.#statements.insert.run(id, name, due, value);
    return 1 + removed;
  }

  #putOwner(owner: StoredRow): void {
    if (owner.value.length === 0) this.#statements.removeOwner.run(owner.name);
    else this.#statements.owner.run(owner.name, storedValue(owner));
  }

  #head({ directoryId, generation }: RowsIdentity): HeadRecord {
    const stored = this.#statements.readHead.get()?.["value"];
    const record = stored instanceof Uint8Array ? decodeHead(stored) : undefined;
    if (record === undefined) throw damagedRows(this.#path, "head");
    const { identity } = record;
    if (identity.generation !== generation || Buffer.compare(identity.directoryId, directoryId) !== 0) {
      throw damagedRows(this.#path, "foreign");
    }
    return record;
  }

  #try<T>(work: () => T): T {
    return withSqlite(this.#disk, this.#path, work);
  }
}

const statementsOf = (database: DatabaseSync) =>
  ({
    readHead: database.prepare("SELECT value FROM head WHERE id = 0"),
    head: database.prepare("UPDATE head SET value = ? WHERE id = 0"),
    value: database.prepare("UPDATE rows NOT INDEXED SET value = ? WHERE id = ? AND name = ? AND due IS ?"),
    remove: database.prepare("DELETE FROM rows NOT INDEXED WHERE id = ?"),
    insert: database.prepare("INSERT INTO rows(id, name, due, value) VALUES (?, ?, ?, ?)"),
    owner: database.prepare(
      "INSERT INTO owners(name, value) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
    ),
    removeOwner: database.prepare("DELETE FROM owners WHERE name = ?"),
  }) satisfies Record<string, StatementSync>;

/** Syncs the write-ahead log each time that it has grown. SQLite holds no lock on this file, so it can be opened again. */
class LogPace {
  readonly #file: DiskFile;
  #syncedTo: number;

  constructor(disk: Disk, path: string) {
    this.#file = disk.open(path, "write");
    this.#syncedTo = this.#file.size();
  }

  look(): void {
    const size = this.#file.size();
    if (size - this.#syncedTo < syncBytes) return;
    syncFile(this.#file);
    this.#syncedTo = size;
  }

  close(): void {
    this.#file.close();
  }
}
