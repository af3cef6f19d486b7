/**
 * Converts the store of a directory that an earlier version wrote with LMDB. The old file is the valid one until it is
 * renamed to `data.mdb.converted`, which is the last step. A crash before that leaves a new store without a write, and the
 * next start converts again.
 */
import { Fault } from "../fault.ts";
import { certain, type Disk, syncNames } from "../lib/disk/disk.ts";
import { readLmdb } from "./lmdb-reader.ts";
import { hasBegun, makeStore, moveAside, type StoredValues, type StoreFiles } from "./store-files.ts";

/**
 * Converts the store. Returns the name of the old file, which is kept.
 * @throws Fault "corrupt" for a damaged file, or when both stores were written to; then nothing was changed
 */
export function convertStore(disk: Disk, files: StoreFiles): string {
  if (hasBegun(disk, files)) throw twoStores(files);
  const { rows, whole } = readLmdb(disk, files.lmdb);
  if (!whole) throw damaged(files.lmdb, "keys", "keys have come or gone without a write");
  const values = new Map<string, unknown>();
  for (const [key, row] of rows) {
    if ("error" in row) throw row.error;
    values.set(key, row.value);
  }
  return finishConversion(disk, files, values, "converted");
}

/** Creates the store with these values, then renames the old file. */
export function finishConversion(
  disk: Disk,
  files: StoreFiles,
  values: StoredValues,
  ending: "cut" | "converted",
): string {
  makeStore(disk, files, values);
  const lock = `${files.directory}/lock.mdb`;
  if (disk.exists(lock)) moveAside(disk, lock, ending);
  const kept = moveAside(disk, files.lmdb, ending);
  certain(() => syncNames(disk, files.directory));
  return kept;
}

export const twoStores = (files: StoreFiles): Fault =>
  damaged(
    files.lmdb,
    "two-stores",
    `it is the store of an earlier version, and ${files.vote} was written after it. Keep the one that this node used last, and move the other one out of the directory`,
  );

function damaged(file: string, why: string, sentence: string): Fault {
  return new Fault("corrupt", {
    message: `${file} is damaged at byte 0 (${why}), ${sentence}`,
    facts: { file, position: 0, why },
  });
}
