/**
 * A node's data directory. Creates it if it does not exist, refuses it if it holds foreign files, and holds its lock
 * while it is open. A directory that is refused is not changed.
 *
 *   <data>/lock   held by flock          <data>/log   segments          <data>/meta   the stable store
 */
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { restoringName } from "../backup/mod.ts";
import { Fault } from "../fault.ts";
import { lockDirectory } from "../lib/disk/directory-lock.ts";
import { errorCode, errorText } from "../lib/disk/disk.ts";
import { syncParent, systemDisk } from "../lib/disk/system-disk.ts";
import { checkCatalogFile } from "../log/mod.ts";
import { unfinishedRestore } from "../replication/mod.ts";
import { checkSpaceForStore, hasStore, openStableStore, type StableStore } from "../store/mod.ts";

export interface DataDirectory extends AsyncDisposable {
  readonly path: string;
  readonly store: StableStore;
}

/** Names that a data directory may contain. The root of a file system may contain lost+found. */
const ownNames = ["gossip", "gossip.next", "lock", "lock.socket", "log", "meta", "reserve", "lost+found"];

/** Data directories of other nodes may lie inside, as those of `tailrace dev` in ./data. */
const isDataDirectory = (path: string): boolean =>
  ["meta", "n1/meta"].some((inner) => hasStore(systemDisk, join(path, inner)));

/**
 * Opens the data directory, and creates it if it does not exist. `onConverted` is called if the stable store of an
 * earlier version was converted, with the name under which the old files are kept.
 * @throws Fault "config", "locked", "foreign-directory", "disk-full" or "corrupt"
 */
export async function openDataDirectory(
  path: string,
  onConverted: (kept: string) => void = () => {},
): Promise<DataDirectory> {
  checkDirectory(path);
  checkCatalogFile(systemDisk, path);
  if (!hasStore(systemDisk, join(path, "meta"))) checkSpaceForStore(systemDisk, nearest(path), path);
  await using stack = new AsyncDisposableStack();
  make(path);
  stack.use(await lockDirectory(path));
  make(join(path, "meta"));
  const store = openStore(path, onConverted);
  stack.defer(() => store.close());
  const owned = stack.move();
  return { path, store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function openStore(path: string, onConverted: (kept: string) => void): StableStore {
  try {
    return openStableStore(join(path, "meta"), { converted: onConverted });
  } catch (reason) {
    throw withRepair(reason, path);
  }
}

/** Adds the repair command to a Fault "corrupt" that does not name it yet. */
export function withRepair(reason: unknown, directory: string): unknown {
  if (!(reason instanceof Fault) || reason.kind !== "corrupt") return reason;
  if (reason.facts.repair !== undefined) return reason;
  const repair = `tailrace repair ${directory}`;
  return new Fault("corrupt", {
    message: `${reason.message}; nothing was changed. See what a repair would do: ${repair}`,
    facts: { ...reason.facts, repair },
    cause: reason,
  });
}

/**
 * Checks that the directory is a data directory, is empty, or can be created. Changes nothing.
 * @throws Fault "config", "foreign-directory"
 */
export function checkDirectory(directory: string): void {
  let names: string[];
  try {
    if (!statSync(directory).isDirectory()) throw cannot(directory, "is not a directory");
    names = readdirSync(directory);
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (reason) {
    if (reason instanceof Fault) throw reason;
    const { code } = reason as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw cannot(directory, `cannot be used: ${errorText(reason)}`, reason);
    checkParent(dirname(directory));
    return;
  }
  if (names.includes(restoringName)) throw unfinishedRestore(directory);
  if (names.includes("log")) return;
  const foreign = names.find((name) => !ownNames.includes(name) && !isDataDirectory(join(directory, name)));
  if (foreign === undefined) return;
  throw new Fault("foreign-directory", {
    message: `${directory} holds files that are not a log's, such as ${foreign}; choose an empty or new directory with --data-dir`,
  });
}

/** The nearest existing parent must be writable. */
function checkParent(parent: string): void {
  try {
    accessSync(parent, constants.W_OK | constants.X_OK);
  } catch (reason) {
    const { code } = reason as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(parent) !== parent) checkParent(dirname(parent));
    else
      throw cannot(
        parent,
        `is not writable, so no data directory can be created in it: ${errorText(reason)}`,
        reason,
      );
  }
}

/** The directory itself, or its nearest existing parent. */
function nearest(directory: string): string {
  return existsSync(directory) || dirname(directory) === directory ? directory : nearest(dirname(directory));
}

/**
 * Creates a directory if it does not exist. Its name is synced in any case, because the process that created it may have
 * died before the sync. A power failure must not remove the catalog and keep the segments.
 */
function make(directory: string): void {
  try {
    systemDisk.makeDirectory(directory);
    syncParent(directory);
  } catch (cause) {
    throw cannot(directory, `cannot be created: ${errorText(cause)}${codeOf(cause)}`, cause);
  }
}

/** The system's code of a failed call, in brackets. */
function codeOf(reason: unknown): string {
  const code = errorCode(reason);
  return code === "" ? "" : ` (${code})`;
}

function cannot(path: string, why: string, cause?: unknown): Fault {
  return new Fault("config", { message: `${path} ${why}`, cause });
}
