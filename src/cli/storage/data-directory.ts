/** Opens a data directory for a command while no node uses it. It does not create a data directory. */
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Fault } from "../../fault.ts";
import { lockDirectory } from "../../lib/disk/directory-lock.ts";
import { errorCode, errorText } from "../../lib/disk/disk.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import type { LogDirectory, ScratchRows } from "../../log/mod.ts";
import { checkRestored } from "../../replication/mod.ts";
import { openRowStore, type RowDatabase } from "../../rows/mod.ts";
import { openToRepair } from "../../store/mod.ts";

/** @throws Fault "not-found" if there is no log, "config" if this process may not read the directory */
export function checkDataDirectory(directory: string): void {
  try {
    readdirSync(join(directory, "log"));
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(cause)))
      throw new Fault("not-found", {
        message: `there is no log in ${directory}${backupsHint(directory)}`,
        facts: { directory },
      });
    throw new Fault("config", { message: `${directory} cannot be read: ${errorText(cause)}`, cause });
  }
}

/** The directory of a file:/// URL with backups is taken for a data directory if it is given as a path. */
function backupsHint(directory: string): string {
  if (!existsSync(join(directory, "backups"))) return "";
  return `, but there are backups: name them by the URL ${pathToFileURL(resolve(directory)).href}`;
}

interface OpenedDataDirectory extends AsyncDisposable {
  readonly logDirectory: LogDirectory;
}

/**
 * Locks the directory, if it is writable, and opens its stable state.
 * @throws Fault "not-found" if there is no log, "locked" if a node uses it, "failed-precondition" if a restore of it did not
 * complete
 */
export async function openDataDirectory(directory: string, readOnly: boolean): Promise<OpenedDataDirectory> {
  checkDataDirectory(directory);
  await using stack = new AsyncDisposableStack();
  if (isWritable(directory)) stack.use(await lockDirectory(directory));
  const meta = join(directory, "meta");
  if (!readOnly) systemDisk.makeDirectory(meta);
  const store = openToRepair(meta, { readOnly });
  stack.defer(() => store.close());
  checkRestored(store, directory);
  const rowStore = openRowStore(meta);
  const owned = stack.move();
  return {
    logDirectory: { directory, disk: systemDisk, store, rowStore, scratch: openScratch },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A directory on a read-only file system cannot be locked, and no node can use it. */
function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A directory of its own among the temporary files (TMPDIR): a data directory may be on a read-only file system. */
export function openScratch(): ScratchRows {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-rows-"));
  const store = openRowStore(directory);
  const identity = { directoryId: new Uint8Array(16), generation: 1 };
  let database: RowDatabase | undefined;
  return {
    create: (from) => {
      database = store.buildNow(identity, from);
      return database;
    },
    remove: () => {
      void database?.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
