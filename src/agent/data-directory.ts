/**
 * A node's data directory: makes it when it is not there, refuses it when it is somebody else's, holds its lock for as
 * long as it is open.
 *
 *   <data>/lock   held by flock          <data>/log   segments          <data>/meta   the stable store
 *
 * Never: creates anything in a directory it then refuses.
 */
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault } from "../fault.ts";
import { lockDirectory } from "../lib/disk/directory-lock.ts";
import { errorCode } from "../lib/disk/disk.ts";
import { syncParent, systemDisk } from "../lib/disk/system-disk.ts";
import { checkCatalogFile } from "../log/mod.ts";
import { checkSpaceForStore, hasStore, openStableStore, type StableStore } from "../store/mod.ts";

export interface DataDirectory extends AsyncDisposable {
  readonly path: string;
  readonly store: StableStore;
}

/** What a directory of ours may hold; in a file system's root there may be lost+found. */
const ours = ["gossip", "gossip.next", "lock", "lock.socket", "log", "meta", "reserve", "lost+found"];

/** Other nodes' directories may lie beside, as the clusters of `tailrace dev` do in ./data. */
const isNeighbour = (path: string): boolean =>
  ["meta", "n1/meta"].some((inner) => hasStore(systemDisk, join(path, inner)));

/**
 * Opens or makes the data directory. `converted`: the stable store of an earlier version was converted, and is kept under
 * this name.
 * @throws Fault "config", "locked", "foreign-directory", "disk-full" and "corrupt"
 */
export async function openDataDirectory(
  path: string,
  converted: (kept: string) => void = () => {},
): Promise<DataDirectory> {
  checkDirectory(path);
  checkCatalogFile(systemDisk, path);
  if (!hasStore(systemDisk, join(path, "meta"))) checkSpaceForStore(systemDisk, nearest(path), path);
  await using stack = new AsyncDisposableStack();
  make(path);
  stack.use(await lockDirectory(path));
  make(join(path, "meta"));
  const store = openStore(path, converted);
  stack.defer(() => store.close());
  const owned = stack.move();
  return { path, store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function openStore(path: string, converted: (kept: string) => void): StableStore {
  try {
    return openStableStore(join(path, "meta"), { converted });
  } catch (reason) {
    throw withRepair(reason, path);
  }
}

/** Damage that did not say yet what can be done about it. */
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

/** Throws unless the directory is ours, or empty, or can be made. Touches nothing. */
function checkDirectory(directory: string): void {
  let names: string[];
  try {
    if (!statSync(directory).isDirectory()) throw cannot(directory, "is not a directory");
    names = readdirSync(directory);
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (reason) {
    if (reason instanceof Fault) throw reason;
    const { code } = reason as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw cannot(directory, `cannot be used (${code})`, reason);
    checkParent(dirname(directory));
    return;
  }
  if (names.includes("log")) return;
  const foreign = names.find((name) => !ours.includes(name) && !isNeighbour(join(directory, name)));
  if (foreign === undefined) return;
  throw new Fault("foreign-directory", {
    message: `${directory} holds files that are not a log's, such as ${foreign}; give --data-dir a directory that is empty or does not exist`,
  });
}

/** The nearest directory above that exists must let us write. */
function checkParent(parent: string): void {
  try {
    accessSync(parent, constants.W_OK | constants.X_OK);
  } catch (reason) {
    const { code } = reason as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(parent) !== parent) checkParent(dirname(parent));
    else throw cannot(parent, `does not let us make a data directory in it (${code})`, reason);
  }
}

/** The directory itself, or the nearest above it that exists. */
function nearest(directory: string): string {
  return existsSync(directory) || dirname(directory) === directory ? directory : nearest(dirname(directory));
}

/**
 * Makes a directory, if it is not there, and its name durable in any case: the process that made it may have ended before
 * that. A power cut must not take the catalog and leave the segments.
 */
function make(directory: string): void {
  try {
    systemDisk.makeDirectory(directory);
    syncParent(directory);
  } catch (cause) {
    throw cannot(directory, `cannot be made (${errorCode(cause)})`, cause);
  }
}

function cannot(path: string, why: string, cause?: unknown): Fault {
  return new Fault("config", { message: `${path} ${why}`, cause });
}
