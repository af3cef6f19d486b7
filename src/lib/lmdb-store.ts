/**
 * The stable store in LMDB, values in msgpack with a CRC-32 before them, for LMDB has no checksums. A rim.
 *
 * One transactionSync per write: it returns after fdatasync of the data and a synchronous write of the meta page.
 *
 * Never: uses the asynchronous puts, whose promise may resolve before the sync.
 */
import { createRequire } from "node:module";
import { Packr } from "msgpackr";
import { Fault } from "../fault.ts";
import { readU32le, writeU32le } from "./bytes.ts";
import { crc32 } from "./checksum.ts";
import { lmdbHeadersAreSound } from "./lmdb-header.ts";
import type { StableStore } from "./stable-store.ts";
import { systemDisk } from "./system-disk.ts";

/** The part of lmdb used here; its own declarations do not compile as a module. */
interface Database {
  getBinary(key: string): Uint8Array | undefined;
  getKeys(range: { start: string; end: string }): Iterable<string>;
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
  }): Database;
}

const packr = new Packr({ useRecords: false, moreTypes: true });

/**
 * Opens or creates the store in this directory, which must exist. `readOnly`: it must be there, not
 * empty, and stays as it is. Throws Fault "corrupt" rather than let LMDB touch a damaged header.
 */
export function openLmdbStore(directory: string, readOnly = false): StableStore {
  if (!lmdbIsSound(`${directory}/data.mdb`)) {
    throw new Fault("corrupt", {
      message: `${directory}/data.mdb is damaged, its header pages are not those of LMDB`,
      facts: { file: `${directory}/data.mdb`, position: 0, why: "header" },
    });
  }
  const { open } = createRequire(import.meta.url)("lmdb") as Lmdb;
  const database = open({ path: directory, noSubdir: false, maxReaders: 16, encoding: "binary", readOnly });
  return {
    get(key) {
      const stored = database.getBinary(key);
      return stored === undefined ? undefined : decode(directory, key, stored);
    },
    keys: (prefix) => [...database.getKeys({ start: prefix, end: `${prefix}\uffff` })],
    write(changes) {
      const encoded = Object.entries(changes).map(([key, value]) => [key, encode(value)] as const);
      database.transactionSync(() => {
        for (const [key, value] of encoded) {
          if (value === undefined) database.removeSync(key);
          else database.putSync(key, value);
        }
      });
    },
    close: () => database.close(),
  };
}

/** False for a file that LMDB would die of. One that is not there, or empty, is one it will make. */
export function lmdbIsSound(path: string): boolean {
  if (!systemDisk.exists(path)) return true;
  const file = systemDisk.open(path, "read");
  try {
    if (file.size() === 0) return true;
    return lmdbHeadersAreSound((position, bytes) => {
      const buffer = Buffer.alloc(bytes);
      return buffer.subarray(0, file.read(buffer, position));
    });
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
