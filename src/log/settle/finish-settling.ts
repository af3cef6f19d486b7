/**
 * Finishes the replacement of a segment by its settled files that a crash interrupted: the catalog has the new length already, and
 * the files are complete and synced.
 */
import type { Disk } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import { type SegmentFiles, settledName } from "../segment/segment-files.ts";

/** Puts the files in place, durably. Does nothing if no replacement was interrupted. Throws what the disk throws. */
export function finishSettling(files: SegmentFiles, catalog: Catalog): void {
  const first = catalog.settling();
  if (first === undefined) return;
  const { disk, directory } = files;
  if (
    isComplete(
      disk,
      files.storePath(first),
      catalog.segments().find((one) => firstOf(one) === first),
    )
  )
    files.takeSettled(first);
  else files.removeSettled(first);
  disk.syncDirectory(directory);
  catalog.write(catalogChange.settling(undefined));
}

/**
 * The path of a store as the catalog describes it, for work that changes nothing: a replacement that was interrupted is still to
 * be finished. The same for its index.
 */
export function currentPath(
  disk: Disk,
  settling: RaftIndex | undefined,
  meta: SegmentMeta,
  path: string,
): string {
  const isPending = settling === firstOf(meta) && disk.exists(settledName(path));
  return isPending ? settledName(path) : path;
}

/** A settled store of another length is of a later attempt, which the catalog does not name. Then this one is in place. */
function isComplete(disk: Disk, path: string, meta: SegmentMeta | undefined): boolean {
  // Its index may still be there when the store is in place.
  const current = disk.exists(settledName(path)) ? settledName(path) : path;
  if (!disk.exists(current)) return false;
  const file = disk.open(current, "read");
  try {
    return file.size() === meta?.seal?.storeBytes;
  } finally {
    file.close();
  }
}
