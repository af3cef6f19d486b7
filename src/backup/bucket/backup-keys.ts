/**
 * The keys of the backups in a store of objects. Pure.
 *
 *   backups/<index>-<time>      the snapshot of one backup (replication/backup), written last; time as 20261130T190000Z
 *   files/<file>                a file of one or several backups; the name has a checksum, so one name always has the same bytes
 *   lock                        of the writer; the last one said that it was released (writer-lease.ts)
 *
 * A backup is there exactly if its snapshot is. Backups are in the order of their indexes, and then of their times.
 */
import { Fault } from "../../fault.ts";

export const lockKey = "lock";
export const backupsPrefix = "backups/";
export const filesPrefix = "files/";

const backupName = /^\d{20}-\d{8}T\d{6}Z$/;
const framesName = /^\d{20}-(\d{20})\.[\da-f]{8}\.frames$/;
/** Earlier versions named frames by their indexes alone: another log can have the same name for other bytes. */
const nameWithoutChain = /^[\d-]+\.frames$/;

/** Returns the name of a backup up to `index` that is written now. */
export function backupNameOf(index: number, wallMs: number): string {
  const time = new Date(wallMs).toISOString().replaceAll(/[:-]|\.\d{3}/g, "");
  return `${String(index).padStart(20, "0")}-${time}`;
}

/** Every name that a version has given to a file of a backup. */
const fileName = /^\d{20}-[\d-]+(?:\.[\da-f]{8})?\.frames$|^\d{20}-[\da-f]{8}\.rows$/;

/** Returns false for an object of something else, such as a place of backups below this one. It is never deleted. */
export const isFileName = (file: string): boolean => fileName.test(file);

/** Returns false for a file that says nothing about its bytes. */
export const namesItsBytes = (file: string): boolean => !nameWithoutChain.test(file);

/** Returns the index up to which a file has frames; undefined for a file of rows or of settled frames. */
export function lastIndexOf(file: string): number | undefined {
  const [, last] = framesName.exec(file) ?? [];
  return last === undefined ? undefined : Number(last);
}

export const keyOfBackup = (name: string): string => backupsPrefix + name;
export const keyOfFile = (file: string): string => filesPrefix + file;

export const isBackupName = (name: unknown): name is string =>
  typeof name === "string" && backupName.test(name);

/** Returns the name of the backup with this key; undefined for another object. */
export function backupOfKey(key: string): string | undefined {
  const name = key.startsWith(backupsPrefix) ? key.slice(backupsPrefix.length) : "";
  return backupName.test(name) ? name : undefined;
}

/** @throws Fault "bad-request" for what is no name of a backup */
export function checkBackupName(name: string): string {
  if (backupName.test(name)) return name;
  throw new Fault("bad-request", {
    message: `"${name}" is not the name of a backup, such as 00000000000000001234-20261130T190000Z; list them with tailrace backups`,
  });
}

/** The newest first. */
export const newestFirst = (names: Iterable<string>): string[] => [...new Set(names)].sort().reverse();
