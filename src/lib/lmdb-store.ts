/**
 * The stable store in LMDB, values in msgpack. A rim.
 *
 * One transactionSync per write: it returns after fdatasync of the data and a synchronous write of the meta page.
 *
 * Never: uses the asynchronous puts, whose promise may resolve before the sync.
 */
import { createRequire } from "node:module";
import type { StableStore } from "./stable-store.ts";

/** The part of lmdb used here; its own declarations do not compile as a module. */
interface Database {
  get(key: string): unknown;
  getKeys(range: { start: string; end: string }): Iterable<string>;
  transactionSync(work: () => void): void;
  putSync(key: string, value: unknown): void;
  removeSync(key: string): void;
  close(): Promise<void>;
}
type Lmdb = { open(options: { path: string; noSubdir: boolean; maxReaders: number }): Database };

/** Opens or creates the store in this directory, which must exist. */
export function openLmdbStore(directory: string): StableStore {
  const { open } = createRequire(import.meta.url)("lmdb") as Lmdb;
  const database = open({ path: directory, noSubdir: false, maxReaders: 16 });
  return {
    get: (key) => database.get(key),
    keys: (prefix) => [...database.getKeys({ start: prefix, end: `${prefix}\uffff` })],
    write(changes) {
      database.transactionSync(() => {
        for (const [key, value] of Object.entries(changes)) {
          if (value === undefined) database.removeSync(key);
          else database.putSync(key, value);
        }
      });
    },
    close: () => database.close(),
  };
}
