/**
 * Creates a data directory from a backup. The log of the directory gets a new identity.
 *
 *   empty ─► restoring/ ─► the stable store says "restoring" ─► frames ─► restoring/ is removed ─► the store says "restored"
 *
 * A directory with restoring/ was never complete, so a restore may empty it and begin again. No node uses it.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../fault.ts";
import { lockDirectory } from "../../lib/disk/directory-lock.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import { type BackupSnapshot, type BackupSource, restoreFrames, StableState } from "../../replication/mod.ts";
import { openOffline } from "./offline-log.ts";

/** A directory inside a data directory, while a restore fills that. */
export const restoringName = "restoring";
/** The root of a file system may contain lost+found. */
const notOfTheLog = ["lost+found"];
const lockNames = ["lock", "lock.socket"];

export interface RestoreOptions {
  readonly snapshot: BackupSnapshot;
  /** Opens the files of the backup. `scratch` is a directory for copies of them. */
  readonly open: (scratch: string) => BackupSource & Partial<AsyncDisposable>;
  /** The data directory: missing, empty, or of a restore that did not complete. */
  readonly directory: string;
  /** The directory does not belong to the cluster of the backup. */
  readonly newCluster: boolean;
}

/** Resolves to the offset of the next record of `default`. @throws Fault "foreign-directory" if the directory is not empty */
export async function restoreDirectory({
  snapshot,
  open,
  directory,
  newCluster,
}: RestoreOptions): Promise<number> {
  const isNew = !existsSync(directory);
  await emptyUnfinished(directory);
  systemDisk.makeDirectory(join(directory, restoringName));
  systemDisk.makeDirectory(join(directory, "meta"));
  try {
    await using opened = await openOffline(directory, (store) => new StableState(store).saveRestoring());
    const source = open(join(directory, restoringName, "files"));
    try {
      await restoreFrames(opened.log, snapshot, source);
    } finally {
      await source[Symbol.asyncDispose]?.();
    }
    // Before the store says that the directory is complete: a complete one is never emptied.
    rmSync(join(directory, restoringName), { recursive: true });
    systemDisk.syncDirectory(directory);
    new StableState(opened.store).saveRestored(newCluster ? undefined : snapshot.clusterId);
    return opened.log.bounds.next;
  } catch (reason) {
    // Another process uses the directory: its files are not removed.
    if (reason instanceof Fault && reason.kind === "locked") throw reason;
    removeAll(directory, namesIn(directory));
    if (isNew) rmSync(directory, { recursive: true });
    throw reason;
  }
}

/** Returns true for a directory that a restore may fill. */
export function isRestorable(directory: string): boolean {
  const names = namesIn(directory);
  return names.includes(restoringName) || names.every((name) => lockNames.includes(name));
}

/** Removes what a restore left that did not complete. @throws Fault "foreign-directory" if the directory has anything else */
export async function emptyUnfinished(directory: string): Promise<void> {
  if (!isRestorable(directory))
    throw new Fault("foreign-directory", {
      message: `${directory} is not empty, and a restore needs a new or an empty directory`,
    });
  const names = namesIn(directory);
  if (!names.includes(restoringName)) return;
  await using _ = await lockDirectory(directory);
  removeAll(
    directory,
    names.filter((name) => !lockNames.includes(name)),
  );
}

/** The mark goes last: a crash in between leaves a directory that can be emptied again. */
function removeAll(directory: string, names: readonly string[]): void {
  const inside = names.filter((name) => name !== restoringName);
  for (const name of [...inside, restoringName])
    rmSync(join(directory, name), { recursive: true, force: true });
}

const namesIn = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory).filter((name) => !notOfTheLog.includes(name)) : [];
