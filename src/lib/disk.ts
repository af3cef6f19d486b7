/**
 * The disk port. `system-disk` is the machine's own; the tests have one in memory that loses, tears and refuses.
 *
 * The law of durability that every implementation follows: bytes are durable after sync() of their file; a file's
 * name (created, renamed, removed) is durable after syncDirectory() of its directory; nothing else is.
 * Failures are Node-style errors with `code` (ENOSPC, EIO, ENOENT, …): the rooms turn them into Faults.
 *
 * Never: retries, caches, decides.
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
  /** Creates the directory and those above it; no error when it is there. Durable once its parent was synced. */
  makeDirectory(directory: string): void;
  /** Replaces `to` if it is there. Both lie in one directory. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  syncDirectory(directory: string): void;
  /** Bytes free for this process on the file system that holds `path`. */
  freeBytes(path: string): number;
}

/** The `code` of a disk's error ("ENOSPC"), or "" for anything else. */
export function errorCode(reason: unknown): string {
  const code = reason instanceof Error ? (reason as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : "";
}

/** Did it fail for want of room? */
export const isNoSpace = (reason: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(errorCode(reason));
