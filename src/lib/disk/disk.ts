/**
 * The disk port. `system-disk` is the file system of the machine. Tests have one in memory that can lose, tear and
 * refuse writes.
 *
 * Durability, for every implementation: bytes are durable after sync() of their file. A file's name (created, renamed,
 * removed) is durable after syncDirectory() of its directory. Nothing else is durable. Failures are Node-style errors
 * with `code` (ENOSPC, EIO, ENOENT, …), which the log converts to Faults. troubleOf() classifies them.
 */
import { getSystemErrorMessage } from "node:util";

/** An open file. Positions and sizes are bytes. */
export interface DiskFile {
  readonly path: string;
  size(): number;
  /** Reads into `target` from `position`. Returns the number of bytes read, which is smaller only at the end. */
  read(target: Uint8Array, position: number): number;
  /** Hint: these bytes are read soon. The disk can load them meanwhile, several ranges at once. It never fails or waits. */
  willRead?(position: number, bytes: number): void;
  /** Writes all of `bytes` at `position`, or throws. After an error, any part of them may have been written. */
  write(bytes: Uint8Array, position: number): void;
  /** The same off the event loop. The caller does not change `bytes` until it resolves. */
  writeAsync(bytes: Uint8Array, position: number): Promise<void>;
  /**
   * Writes `bytes` and makes them durable, off the event loop, in one step where the system can do that. It does not sync what was
   * written before. The error can be one of the sync; then it is DiskUncertain, or the next sync() fails as well.
   */
  writeSyncedAsync(bytes: Uint8Array, position: number): Promise<void>;
  /** fdatasync. After a failure the state of unsynced bytes is unknown. */
  sync(): void;
  syncAsync(): Promise<void>;
  truncate(bytes: number): void;
  /** Makes the file at least this large and allocates its blocks: later writes inside cannot run out of space. */
  preallocate(bytes: number): void;
  close(): void;
}

/** How a file is opened. "create" fails with EEXIST if the file exists; the others fail with ENOENT if it does not. */
export type OpenMode = "read" | "write" | "create";

export interface Disk {
  /** NotRegularFile for a directory, a pipe or a device. It does not wait for the other end of a pipe. */
  open(path: string, mode: OpenMode): DiskFile;
  exists(path: string): boolean;
  /** Names in a directory, sorted. ENOENT when there is no such directory. */
  list(directory: string): string[];
  /** Creates the directory and its parents, durably. No error if it exists. */
  makeDirectory(directory: string): void;
  /** Replaces `to` if it exists. Both are in one directory. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Makes the names in a directory durable. A failure to open it has `syscall` "open". */
  syncDirectory(directory: string): void;
  /** Bytes free for this process on the file system that holds `path`. */
  freeBytes(path: string): number;
  /** The size of that file system in bytes, used and free. */
  totalBytes(path: string): number;
}

/** Reads a whole file. @throws the error of the disk */
export function readWhole(disk: Disk, path: string): Uint8Array {
  const file = disk.open(path, "read");
  try {
    const bytes = new Uint8Array(file.size());
    return bytes.subarray(0, file.read(bytes, 0));
  } finally {
    file.close();
  }
}

/** @throws the error of the disk, unless there is no directory of this path */
export function isDirectory(disk: Disk, path: string): boolean {
  try {
    disk.list(path);
    return true;
  } catch (reason) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(reason))) return false;
    throw reason;
  }
}

/** The `code` of a disk's error ("ENOSPC"), or "" for anything else. */
export function errorCode(reason: unknown): string {
  const code = reason instanceof Error ? (reason as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : "";
}

/** A failed system call in words, such as "no such file or directory"; the message of any other error. */
export function errorText(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const { errno } = reason as NodeJS.ErrnoException;
  return typeof errno === "number" ? getSystemErrorMessage(errno) : reason.message;
}

/** Returns true for errors that mean that the disk is full. */
export const isNoSpace = (reason: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(errorCode(reason));

/** A data file has another type than a regular file. Nothing was read or written. */
export class NotRegularFile extends Error {
  override readonly name = "NotRegularFile";
  readonly syscall = "open";
  readonly code: string;

  constructor(path: string, isDirectory: boolean) {
    super(
      `${path} is ${isDirectory ? "a directory" : "a pipe, a socket or a device"}, expected a regular file`,
    );
    this.code = isDirectory ? "EISDIR" : "EINVAL";
  }
}

/**
 * The state of the disk is unknown: a sync failed, or a change of several steps stopped in between. Written bytes may be
 * lost even if a later sync succeeds, and whatever the error's code is.
 */
export class DiskUncertain extends Error {
  override readonly name = "DiskUncertain";

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * What a failed operation means for the bytes that are on the disk already:
 *
 *   full   no space                     nothing is lost; the same operation works once there is space
 *   busy   no descriptor, no memory,    nothing is lost; the same operation works once the resource is available
 *          no permission, interrupted
 *   lost   anything else, including     bytes may be lost; nothing may be acknowledged after it
 *          every failed sync
 *
 * A write that fails as "full" or "busy" may leave some of its bytes after the end of the file. Its caller truncates
 * them.
 */
export type DiskTrouble = "full" | "busy" | "lost";

const busyCodes = new Set([
  ...["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"],
  ...["EACCES", "EPERM", "EINTR", "EAGAIN", "EBUSY", "ETXTBSY", "EFBIG"],
]);

export function troubleOf(reason: unknown): DiskTrouble {
  if (reason instanceof DiskUncertain) return "lost";
  if (isNoSpace(reason)) return "full";
  return busyCodes.has(errorCode(reason)) ? "busy" : "lost";
}

/** Calls sync(). A failure becomes DiskUncertain. */
export function syncFile(file: DiskFile): void {
  certain(() => file.sync());
}

export async function syncFileAside(file: DiskFile): Promise<void> {
  try {
    await file.syncAsync();
  } catch (cause) {
    throw new DiskUncertain(cause);
  }
}

/** Calls syncDirectory(). A failure becomes DiskUncertain, unless the directory could not be opened: then nothing was tried. */
export function syncNames(disk: Disk, directory: string): void {
  try {
    disk.syncDirectory(directory);
  } catch (cause) {
    if ((cause as { syscall?: unknown }).syscall === "open") throw cause;
    throw new DiskUncertain(cause);
  }
}

/** Runs work that must not stop in the middle. Anything that it throws becomes DiskUncertain. */
export function certain<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof DiskUncertain ? cause : new DiskUncertain(cause);
  }
}
