/** Checks whether there is space for a new store, before anything is created in a data directory. */
import { Fault } from "../fault.ts";
import type { Disk } from "../lib/disk/disk.ts";

/** Space that a new store needs on its volume. */
const newStoreBytes = 1024 * 1024;

/**
 * `directory` must exist. `place` is its name in the message.
 * @throws Fault "disk-full" if its volume has no space for a new store
 */
export function checkSpaceForStore(disk: Disk, directory: string, place: string): void {
  let free: number;
  try {
    // A file system without a size does not count space: /proc, or a tmpfs without a limit.
    if (disk.totalBytes(directory) === 0) return;
    free = disk.freeBytes(directory);
  } catch {
    return; // A file system that does not say how much is free.
  }
  if (free >= newStoreBytes) return;
  throw new Fault("disk-full", {
    message: `the disk is full: a new store in ${place} needs ${newStoreBytes / 1024} KiB, and ${Math.floor(free / 1024)} KiB are free. Nothing was created; free some space, or choose another volume`,
    facts: { needed: newStoreBytes, freeBytes: free },
  });
}
