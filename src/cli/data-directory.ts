/**
 * A data directory that a command looks into while no node runs on it: locked, its stable store open.
 *
 * Never: creates a data directory.
 */
import { accessSync, constants, existsSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../fault.ts";
import { lockDirectory } from "../lib/disk/directory-lock.ts";
import { syncParent, systemDisk } from "../lib/disk/system-disk.ts";
import type { LogPlace } from "../log/mod.ts";
import { lmdbIsSound, openLmdbStore } from "../store/lmdb-store.ts";
import type { StableStore } from "../store/stable-store.ts";

export interface OpenedPlace extends AsyncDisposable {
  readonly place: LogPlace;
}

/** Throws Fault "not-found" and "locked". */
export async function openPlace(directory: string, readOnly: boolean): Promise<OpenedPlace> {
  if (!existsSync(join(directory, "log"))) {
    throw new Fault("not-found", { message: `there is no log in ${directory}`, facts: { directory } });
  }
  const lock = mayWrite(directory) ? await lockDirectory(directory) : undefined;
  try {
    const meta = join(directory, "meta");
    const there = usable(join(meta, "data.mdb"), readOnly);
    if (!there && !readOnly) systemDisk.makeDirectory(meta);
    const store = there || !readOnly ? openLmdbStore(meta, { readOnly, salvage: true }) : nothing;
    return {
      place: { directory, disk: systemDisk, store },
      async [Symbol.asyncDispose]() {
        await store.close();
        await lock?.release();
      },
    };
  } catch (reason) {
    await lock?.release();
    throw reason;
  }
}

/**
 * Is there a stable store to open? One that LMDB could not even open counts as gone; who may write sets it aside,
 * as `*.cut`.
 */
function usable(path: string, readOnly: boolean): boolean {
  if (!existsSync(path) || statSync(path).size === 0) return false;
  if (lmdbIsSound(path)) return true;
  if (!readOnly) {
    renameSync(path, `${path}.cut`);
    syncParent(path);
  }
  return false;
}

/** A copy on a read-only file system has no process to be kept away. */
function mayWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** In the place of a stable store that is gone. */
const nothing: StableStore = {
  whole: true,
  get: () => undefined,
  keys: () => [],
  write() {
    throw new Fault("failed-precondition", { message: "the directory has no catalog" });
  },
  close: async () => {},
};
