/**
 * Is there space for a new store? Asked before anything is made in a data directory.
 */
import { Fault } from "../fault.ts";
import type { Disk } from "../lib/disk/disk.ts";

/** Space that a new store needs on its volume. */
const newStoreBytes = 1024 * 1024;

/**
 * Throws Fault "disk-full" when the volume of `directory`, which exists, has no space for a new store. `place`: where, for the
 * message.
 */
export function checkSpaceForStore(disk: Disk, directory: string, place: string): void {
  let free: number;
  try {
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
