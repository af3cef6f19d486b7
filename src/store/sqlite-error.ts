/** Converts errors of SQLite to errors of the disk port and to Faults (https://sqlite.org/rescode.html). */
import { Fault } from "../fault.ts";
import { type Disk, DiskUncertain } from "../lib/disk/disk.ts";

const code = {
  perm: 3,
  busy: 5,
  locked: 6,
  noMemory: 7,
  readOnly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
};
const notADatabase = 26;
/** A failed sync of a file or of a directory. */
const syncFailures = [1034, 1290];
/** With less free space the disk counts as full: SQLite reports an exhausted quota as an input or output error. */
const fullBelowBytes = 64 * 1024;

/** Returns SQLite's result code; undefined for other errors. */
export function resultCode(reason: unknown): number | undefined {
  const { code: name, errcode } = reason as { code?: unknown; errcode?: unknown };
  return reason instanceof Error && name === "ERR_SQLITE_ERROR" && typeof errcode === "number"
    ? errcode
    : undefined;
}

/**
 * Returns an error with the `code` of a disk and a `syscall`, as system errors have; DiskUncertain; or Fault "corrupt" or
 * "locked". Errors that are not SQLite's are returned unchanged.
 */
export function asOfDisk(reason: unknown, disk: Disk, file: string): unknown {
  const found = resultCode(reason);
  if (found === undefined || !(reason instanceof Error)) return reason;
  const as = (name: string): Error =>
    Object.assign(new Error(`${file}: ${reason.message}`, { cause: reason }), {
      code: name,
      syscall: "sqlite",
    });
  if (syncFailures.includes(found)) return new DiskUncertain(as("EIO"));
  switch (found & 0xff) {
    case code.full:
      return as("ENOSPC");
    case code.io:
      return as(isFull(disk, file) ? "ENOSPC" : "EIO");
    case code.noMemory:
      return as("ENOMEM");
    case code.perm:
    case code.readOnly:
    case code.cannotOpen:
      return as("EACCES");
    case code.busy:
    case code.locked:
      return new Fault("locked", { message: `${file} is in use by another process`, cause: reason });
    case code.corrupt:
    case notADatabase:
      return damagedDatabase(file, "pages", reason);
    default:
      return reason;
  }
}

/** Returns Fault "corrupt" for a state database. */
export function damagedDatabase(file: string, why: string, cause?: unknown, position = 0): Fault {
  return new Fault("corrupt", {
    message: `${file} is damaged at byte ${position} (${why}), ${sentences[why] ?? "it is not as it was written"}`,
    facts: { file, position, why },
    cause,
  });
}

const sentences: Readonly<Record<string, string>> = {
  header: "it has no valid header",
  missing: "the file is gone and its vote file is there",
  keys: "rows have come or gone without a write",
  "rolled-back": "its last writes are gone",
  wal: "a transaction in the middle of its write-ahead log is damaged",
};

function isFull(disk: Disk, file: string): boolean {
  try {
    return disk.totalBytes(file) > 0 && disk.freeBytes(file) < fullBelowBytes;
  } catch {
    return false;
  }
}
