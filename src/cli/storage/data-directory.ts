/**
 * A data directory that a command looks into while no node runs on it: locked, its stable store open. It must exist.
 */
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../fault.ts";
import { lockDirectory } from "../../lib/disk/directory-lock.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import type { LogDirectory } from "../../log/mod.ts";
import { openToRepair } from "../../store/mod.ts";

interface OpenedPlace extends AsyncDisposable {
  readonly place: LogDirectory;
}

/** Throws Fault "not-found" and "locked". */
export async function openPlace(directory: string, readOnly: boolean): Promise<OpenedPlace> {
  if (!existsSync(join(directory, "log"))) {
    throw new Fault("not-found", { message: `there is no log in ${directory}`, facts: { directory } });
  }
  const lock = mayWrite(directory) ? await lockDirectory(directory) : undefined;
  try {
    const meta = join(directory, "meta");
    if (!readOnly) systemDisk.makeDirectory(meta);
    const store = openToRepair(meta, { readOnly });
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

/** A copy on a read-only file system has no process to be kept away. */
function mayWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
