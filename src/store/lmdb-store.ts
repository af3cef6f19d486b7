/**
 * The stable store in LMDB, values in msgpack with a CRC-32 before them, for LMDB has no checksums: its pages are walked
 * before it may map them, and its keys are counted and summed. A rim.
 *
 * One transactionSync per write: it returns after fdatasync of the data and a synchronous write of the meta page. The file
 * has room behind its last page, so that a full disk stops no vote.
 *
 * Never: uses the asynchronous puts, whose promise may resolve before the sync.
 */
import { createRequire } from "node:module";
import { getSystemErrorName } from "node:util";
import { Packr } from "msgpackr";
import { Fault } from "../fault.ts";
import { readU32le, writeU32le } from "../lib/bytes.ts";
import { crc32 } from "../lib/checksum.ts";
import { systemDisk, takeFromOthers } from "../lib/disk/system-disk.ts";
import { type LmdbFlaw, lmdbFlaw } from "./lmdb-pages.ts";
import type { StableStore } from "./stable-store.ts";

/** The part of lmdb used here; its own declarations do not compile as a module. */
interface Database {
  getBinary(key: string): Uint8Array | undefined;
  getKeys(range: { start: string; end: string }): Iterable<string>;
  getStats(): { readonly lastPageNumber: number; readonly pageSize: number };
  transactionSync(work: () => void): void;
  putSync(key: string, value: Uint8Array): void;
  removeSync(key: string): void;
  close(): Promise<void>;
}
interface Lmdb {
  open(options: {
    path: string;
    noSubdir: boolean;
    maxReaders: number;
    encoding: "binary";
    readOnly: boolean;
    overlappingSync: false;
  }): Database;
}

const packr = new Packr({ useRecords: false, moreTypes: true });

export interface LmdbOptions {
  /** It must be there, not empty, and stays as it is; and it may be damaged. */
  readonly readOnly?: boolean;
  /** It may be damaged: it is opened to be repaired. */
  readonly salvage?: boolean;
}

/**
 * Opens or creates the store in this directory, which must exist. Throws Fault "corrupt" rather than let LMDB touch damaged
 * pages, and when keys have come or gone that nobody wrote.
 */
export function openLmdbStore(directory: string, options: LmdbOptions = {}): StableStore {
  const { readOnly = false, salvage = readOnly } = options;
  const file = `${directory}/data.mdb`;
  const flaw = flawOf(file);
  if (flaw !== undefined) throw damaged(file, flaw, "its pages are not as LMDB wrote them");
  const isNew = !systemDisk.exists(file);
  if (isNew && !readOnly) checkRoomForStore(directory, directory);
  const { open } = createRequire(import.meta.url)("lmdb") as Lmdb;
  const database = open({
    path: directory,
    noSubdir: false,
    maxReaders: 16,
    encoding: "binary",
    readOnly,
    // LMDB's own order: pages, sync, header. The other one writes an unsynced header first, for asynchronous puts.
    overlappingSync: false,
  });
  if (isNew) keepToOwner(directory);
  const census = new KeyCensus(database);
  if (!census.whole && !salvage) {
    void database.close();
    throw damaged(file, { position: 0, why: "keys" }, "keys have come or gone that nobody wrote");
  }
  const spare = new Spare(file, database);
  return {
    get whole() {
      return census.whole;
    },
    get(key) {
      const stored = database.getBinary(key);
      return stored === undefined ? undefined : decode(directory, key, stored);
    },
    keys: (prefix) =>
      [...database.getKeys({ start: prefix, end: `${prefix}\uffff` })].filter((key) => key !== censusKey),
    write(changes) {
      const encoded = Object.entries(changes).map(([key, value]) => [key, encode(value)] as const);
      const total = encode(census.after(encoded))!;
      asOfDisk(file, () =>
        database.transactionSync(() => {
          for (const [key, value] of encoded) {
            if (value === undefined) database.removeSync(key);
            else database.putSync(key, value);
          }
          database.putSync(censusKey, total);
        }),
      );
      census.take(encoded);
      spare.keep();
    },
    close: () => database.close(),
  };
}

/** Room that a new store needs on its volume. */
const newStoreBytes = 1024 * 1024;

/**
 * Throws Fault "disk-full" when the volume of `directory`, which exists, has no room for a new store, of `place` in the
 * message. LMDB must not find out: a failed write while it makes its file ends the process.
 */
export function checkRoomForStore(directory: string, place: string): void {
  let free: number;
  try {
    free = systemDisk.freeBytes(directory);
  } catch {
    return; // A file system that does not tell its room.
  }
  if (free >= newStoreBytes) return;
  throw new Fault("disk-full", {
    message: `the disk is full: a new store in ${place} needs ${newStoreBytes / 1024} KiB, and ${Math.floor(free / 1024)} KiB are free. Nothing was created; free some space, or choose another volume`,
    facts: { needed: newStoreBytes, freeBytes: free },
  });
}

/** LMDB makes files that others may read, and leaves their names to the file system. */
function keepToOwner(directory: string): void {
  for (const name of ["data.mdb", "lock.mdb"]) takeFromOthers(`${directory}/${name}`);
  systemDisk.syncDirectory(directory);
}

/** LMDB gives the system's errors by number; disks, by name. And it calls a write that found half its room EIO. */
function asOfDisk(file: string, work: () => void): void {
  try {
    work();
  } catch (reason) {
    const { code, message } = reason as { code?: unknown; message: string };
    if (typeof code !== "number" || code <= 0) throw reason;
    const name = getSystemErrorName(-code);
    const isFull = name === "EIO" && systemDisk.freeBytes(file) < noRoomBytes;
    throw Object.assign(new Error(message, { cause: reason }), { code: isFull ? "ENOSPC" : name });
  }
}

/** A disk with less is full. */
const noRoomBytes = 64 * 1024;

/** Room for many small writes: the pages that one frees serve the next but one. */
const spareBytes = 512 * 1024;

/**
 * The room that the file has behind its last page, made as soon as half of it is used. By writes alone: a refused start
 * changes nothing.
 */
class Spare {
  readonly #file: string;
  readonly #database: Database;
  #fileBytes = 0;

  constructor(file: string, database: Database) {
    this.#file = file;
    this.#database = database;
  }

  /** Where no room can be made there is none, and the next write tries again: what was written is written. */
  keep(): void {
    const { lastPageNumber, pageSize } = this.#database.getStats();
    const usedBytes = (lastPageNumber + 1) * pageSize;
    if (this.#fileBytes - usedBytes >= spareBytes / 2) return;
    try {
      const file = systemDisk.open(this.#file, "write");
      try {
        if (file.size() - usedBytes < spareBytes / 2) file.preallocate(usedBytes + spareBytes);
        this.#fileBytes = file.size();
      } finally {
        file.close();
      }
    } catch {
      // A disk that has failed fails the next write as well.
    }
  }
}

/** Where the census stands: behind every other key. */
const censusKey = "~census";

type Change = readonly [key: string, value: Uint8Array | undefined];

/**
 * A sum over all keys with their values' checksums, kept beside them. A value's own checksum tells when it is damaged,
 * and nothing when it is gone or its key has become another; the sum does.
 */
class KeyCensus {
  /** Whether the sum that was found is that of the keys that were found. */
  whole: boolean;
  readonly #marks = new Map<string, number>();
  #sum = 0;

  constructor(database: Database) {
    this.whole = this.#count(database);
  }

  /** Takes in what is there; is it what the sum says? A key that cannot even be looked up is not. */
  #count(database: Database): boolean {
    try {
      for (const key of database.getKeys({ start: "", end: "\uffff" })) {
        if (key !== censusKey) this.#put(key, database.getBinary(key));
      }
    } catch {
      return false;
    }
    const stored = database.getBinary(censusKey);
    if (stored === undefined) return this.#marks.size === 0;
    return Buffer.compare(stored, encode([this.#marks.size, this.#sum])!) === 0;
  }

  /** What will have to stand there once these changes are made. */
  after(changes: readonly Change[]): readonly [number, number] {
    const marks = new Map<string, number | undefined>();
    let [count, sum] = [this.#marks.size, this.#sum];
    for (const [key, value] of changes) {
      const before = marks.has(key) ? marks.get(key) : this.#marks.get(key);
      const mark = value === undefined ? undefined : markOf(key, value);
      count += (mark === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
      sum = (sum + (mark ?? 0) - (before ?? 0)) >>> 0;
      marks.set(key, mark);
    }
    return [count, sum];
  }

  /** They are made. */
  take(changes: readonly Change[]): void {
    for (const [key, value] of changes) this.#put(key, value);
    this.whole = true;
  }

  #put(key: string, value: Uint8Array | undefined): void {
    this.#sum = (this.#sum - (this.#marks.get(key) ?? 0)) >>> 0;
    this.#marks.delete(key);
    if (value === undefined) return;
    const mark = markOf(key, value);
    this.#marks.set(key, mark);
    this.#sum = (this.#sum + mark) >>> 0;
  }
}

/** Of a key with the checksum in front of its value. (What damage made of a key need not be text.) */
const markOf = (key: string, value: Uint8Array): number =>
  crc32(Buffer.concat([Buffer.from(String(key)), value.subarray(0, 4)]));

function damaged(file: string, { position, why }: LmdbFlaw, sentence: string): Fault {
  return new Fault("corrupt", {
    message: `${file} is damaged at byte ${position} (${why}), ${sentence}`,
    facts: { file, position, why },
  });
}

/** False for a file that LMDB would die of. One that is not there, or empty, is one it will make. */
export const lmdbIsSound = (path: string): boolean => flawOf(path) === undefined;

function flawOf(path: string): LmdbFlaw | undefined {
  if (!systemDisk.exists(path)) return undefined;
  const file = systemDisk.open(path, "read");
  try {
    const bytes = file.size();
    if (bytes === 0) return undefined;
    return lmdbFlaw((position, most) => {
      const buffer = Buffer.allocUnsafe(most);
      return buffer.subarray(0, file.read(buffer, position));
    }, bytes);
  } finally {
    file.close();
  }
}

function encode(value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const body = packr.pack(value);
  const stored = new Uint8Array(4 + body.length);
  stored.set(body, 4);
  writeU32le(stored, 0, crc32(body));
  return stored;
}

function decode(directory: string, key: string, stored: Uint8Array): unknown {
  if (stored.length > 4 && readU32le(stored, 0) === crc32(stored, 4)) return packr.unpack(stored.subarray(4));
  throw new Fault("corrupt", {
    message: `${directory} is damaged: the value of ${key} has the wrong checksum`,
    facts: { file: directory, position: 0, why: "checksum", key },
  });
}
