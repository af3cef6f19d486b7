/** Builds a database from a base file, in the worker: under a temporary name, which it loses when it is whole and durable. */
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { certain, type Disk, syncFile, syncNames } from "../../lib/disk/disk.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import { openBase } from "../base-reader.ts";
import type { RowsHead, RowsIdentity, StoredRow } from "../rows.ts";
import { encodeHead } from "./head-record.ts";
import { indexes, pageBytes, storedValue, tables, walOf, withSqlite } from "./schema.ts";

/** Nothing of an unfinished file is kept, so SQLite needs no journal file and no syncs. Node.js forbids the mode OFF. */
const settings = `PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;
  PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384`;
const sharedMemoryOf = (path: string): string => `${path}-shm`;

/** Removes a database and SQLite's files beside it. */
export function removeDatabase(disk: Disk, path: string): void {
  for (const file of [path, walOf(path), sharedMemoryOf(path), unfinishedOf(path)]) {
    if (disk.exists(file)) disk.remove(file);
  }
}

const unfinishedName = /^logs-\d+\.db\.new(-journal|-wal|-shm)?$/;

/** Removes what builds left that a kill ended. No build may be under way. */
export function removeUnfinished(directory: string, disk: Disk = systemDisk): void {
  for (const name of disk.list(directory)) if (unfinishedName.test(name)) disk.remove(`${directory}/${name}`);
}

const unfinishedOf = (path: string): string => `${path}.new`;

/** See RowStore.build(). */
export function buildDatabase(
  disk: Disk,
  path: string,
  identity: RowsIdentity,
  from: string | RowsHead,
): void {
  removeDatabase(disk, path);
  const unfinished = unfinishedOf(path);
  try {
    if (typeof from !== "string") fill(disk, unfinished, identity, from, []);
    else {
      const base = openBase(disk, from);
      try {
        fill(disk, unfinished, identity, base.head, base.blocks());
      } finally {
        base.close();
      }
    }
    setWalMode(disk, unfinished);
  } catch (reason) {
    if (disk.exists(unfinished)) disk.remove(unfinished);
    throw reason;
  }
  disk.rename(unfinished, path);
  certain(() => syncNames(disk, dirname(path)));
}

function fill(
  disk: Disk,
  path: string,
  identity: RowsIdentity,
  head: RowsHead,
  blocks: Iterable<readonly StoredRow[]>,
): void {
  withSqlite(disk, path, () => {
    const database = new DatabaseSync(path);
    try {
      database.exec(settings);
      database.exec("BEGIN");
      for (const table of tables) database.exec(table);
      const insert = database.prepare("INSERT INTO rows(id, name, due, value) VALUES (?, ?, ?, ?)");
      for (const rows of blocks) {
        for (const row of rows) insert.run(row.id, row.name, row.dueMs ?? null, storedValue(row));
      }
      for (const index of indexes) database.exec(index);
      database.prepare("INSERT INTO head VALUES (0, ?)").run(encodeHead(identity, head));
      database.exec("COMMIT");
    } finally {
      database.close();
    }
  });
}

/** Read and write versions of the format in the header: 2 is a write-ahead log. */
const [versionsAt, walVersion] = [18, 2];

/** SQLite's own switch would create a log beside the file. */
function setWalMode(disk: Disk, path: string): void {
  const file = disk.open(path, "write");
  try {
    file.write(Uint8Array.of(walVersion, walVersion), versionsAt);
    syncFile(file);
  } finally {
    file.close();
  }
}
