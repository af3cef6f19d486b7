/**
 * The disk port. `system-disk` is the machine's own; the tests have one in memory that loses, tears and refuses.
 *
 * The law of durability that every implementation follows: bytes are durable after sync() of their file; a file's
 * name (created, renamed, removed) is durable after syncDirectory() of its directory; nothing else is.
 * Failures are Node-style errors with `code` (ENOSPC, EIO, ENOENT, …); the log turns them into Faults. troubleOf() says
 * what a failure means for the bytes that are there already.
 */

/** An open file. Positions and sizes are bytes. */
export interface DiskFile {
  readonly path: string;
  size(): number;
  /** Reads into `target` from `position`; answers how many bytes there were (fewer only at the end). */
  read(target: Uint8Array, position: number): number;
  /** Writes all of `bytes` at `position` or throws; after a throw, any part of them may have been written. */
  write(bytes: Uint8Array, position: number): void;
  /** The same off the event loop. The caller leaves `bytes` alone until it resolves. */
  writeAsync(bytes: Uint8Array, position: number): Promise<void>;
  /** fdatasync. After a failure the state of unsynced bytes is unknown for ever. */
  sync(): void;
  syncAsync(): Promise<void>;
  truncate(bytes: number): void;
  /** Makes the file at least this large, with its blocks really allocated: later writes inside cannot lack space. */
  preallocate(bytes: number): void;
  close(): void;
}

/** How a file is opened. "create" fails with EEXIST when it is there; the other two with ENOENT when not. */
export type OpenMode = "read" | "write" | "create";

export interface Disk {
  open(path: string, mode: OpenMode): DiskFile;
  exists(path: string): boolean;
  /** Names in a directory, sorted. ENOENT when there is no such directory. */
  list(directory: string): string[];
  /** Creates the directory and those above it, durably; no error when it is there. */
  makeDirectory(directory: string): void;
  /** Replaces `to` if it is there. Both lie in one directory. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Makes the names in a directory durable. A failure to open it has `syscall` "open". */
  syncDirectory(directory: string): void;
  /** Bytes free for this process on the file system that holds `path`. */
  freeBytes(path: string): number;
  /** The size of that file system in bytes, used and free. */
  totalBytes(path: string): number;
}

/** The `code` of a disk's error ("ENOSPC"), or "" for anything else. */
export function errorCode(reason: unknown): string {
  const code = reason instanceof Error ? (reason as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : "";
}

/** Did it fail for want of room? */
export const isNoSpace = (reason: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(errorCode(reason));

/**
 * What is on disk is not known any more: a sync failed, or a change of several steps stopped between two of them. Bytes that
 * were written may be lost, also if a later sync succeeds, whatever the error's code is.
 */
class DiskUncertain extends Error {
  override readonly name = "DiskUncertain";

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * What a failed operation means for the bytes that are on the disk already:
 *
 *   full   no room                      nothing is lost; the same operation works once there is room
 *   busy   no descriptor, no memory,    nothing is lost; the same operation works once what it lacks is there again
 *          no permission, interrupted
 *   lost   anything else, each failed   bytes may be lost: nothing may be acknowledged after it
 *          sync among it
 *
 * A write that fails as "full" or "busy" may have left a part of itself behind the end of the file; its caller cuts that
 * off.
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

/** sync(), whose failure is DiskUncertain. */
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

/** syncDirectory(). Only a directory that could not even be opened is not DiskUncertain: no sync was tried. */
export function syncNames(disk: Disk, directory: string): void {
  try {
    disk.syncDirectory(directory);
  } catch (cause) {
    if ((cause as { syscall?: unknown }).syscall === "open") throw cause;
    throw new DiskUncertain(cause);
  }
}

/** Does work that must not stop in its middle: whatever it throws is DiskUncertain. */
export function certain<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof DiskUncertain ? cause : new DiskUncertain(cause);
  }
}
