/** Reads the backups of a store of objects: their names and their snapshots. */
import { Fault } from "../../fault.ts";
import { type Clock, systemClock } from "../../lib/time/clock.ts";
import { inSlices } from "../../lib/time/in-slices.ts";
import type { ObjectEntry, ObjectStore } from "../../objects/mod.ts";
import {
  type BackupOutline,
  type BackupSnapshot,
  unpackOutline,
  unpackSnapshot,
} from "../../replication/mod.ts";
import {
  backupOfKey,
  backupsPrefix,
  checkBackupName,
  filesPrefix,
  keyOfBackup,
  newestFirst,
} from "./backup-keys.ts";

/** A limit above the state of a million producers. */
const snapshotBytesMax = 1024 * 1024 * 1024;

export interface StoredBackup {
  readonly name: string;
  readonly snapshot: BackupSnapshot;
  readonly ageMs: number;
}

/** Resolves to the backups with their age, the newest first. */
export async function listBackups(
  store: ObjectStore,
): Promise<{ readonly name: string; readonly ageMs: number }[]> {
  const ages = new Map<string, number>();
  for await (const { key, ageMs } of store.list(backupsPrefix)) {
    const name = backupOfKey(key);
    if (name !== undefined) ages.set(name, ageMs);
  }
  return newestFirst(ages.keys()).map((name) => ({ name, ageMs: ages.get(name)! }));
}

/** Resolves to the sizes of all files of all backups, by name. */
export async function listFiles(store: ObjectStore): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const { key, bytes } of store.list(filesPrefix) as AsyncIterable<ObjectEntry>)
    found.set(key.slice(filesPrefix.length), bytes);
  return found;
}

/** Resolves to undefined if there is no such backup. @throws Fault "corrupt", "unsupported-version" */
export async function readBackup(
  store: ObjectStore,
  name: string,
  clock: Clock = systemClock,
): Promise<BackupSnapshot | undefined> {
  const found = await store.readWhole(keyOfBackup(name), snapshotBytesMax);
  return found === undefined ? undefined : await inSlices(clock, unpackSnapshot(found.data));
}

/** The same without the state at the start of the backup. */
export async function readOutline(
  store: ObjectStore,
  name: string,
  clock: Clock,
): Promise<BackupOutline | undefined> {
  const found = await store.readWhole(keyOfBackup(name), snapshotBytesMax);
  return found === undefined ? undefined : await inSlices(clock, unpackOutline(found.data));
}

/** Resolves to the newest backup, or undefined if there is none. A list can still have one that was deleted. */
export async function newestBackup(
  store: ObjectStore,
  clock: Clock = systemClock,
): Promise<StoredBackup | undefined> {
  for (const { name, ageMs } of await listBackups(store)) {
    const snapshot = await readBackup(store, name, clock);
    if (snapshot !== undefined) return { name, snapshot, ageMs };
  }
  return undefined;
}

/** Resolves to the newest of the backups that are listed and of `recent`, which the list may lack. */
export async function newestOutline(
  store: ObjectStore,
  recent: readonly string[],
  clock: Clock,
): Promise<{ readonly name: string; readonly snapshot: BackupOutline } | undefined> {
  const listed = await listBackups(store);
  for (const name of newestFirst([...listed.map((one) => one.name), ...recent])) {
    const snapshot = await readOutline(store, name, clock);
    if (snapshot !== undefined) return { name, snapshot };
  }
  return undefined;
}

/**
 * Resolves to the backup with this name, or to the newest.
 * @throws Fault "not-found", "bad-request" for what is no name, "corrupt", "unsupported-version"
 */
export async function chooseBackup(
  store: ObjectStore,
  name: string | undefined,
  clock: Clock = systemClock,
): Promise<Omit<StoredBackup, "ageMs">> {
  if (name === undefined) {
    const newest = await newestBackup(store, clock);
    if (newest !== undefined) return newest;
    throw new Fault("not-found", { message: `there is no backup in ${store.url}` });
  }
  const snapshot = await readBackup(store, checkBackupName(name), clock);
  if (snapshot !== undefined) return { name, snapshot };
  throw new Fault("not-found", { message: `there is no backup ${name} in ${store.url}`, facts: { name } });
}
