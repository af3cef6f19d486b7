/**
 * Finishes the replacement of a segment by its settled files that a crash interrupted: the catalog has the new length already, and
 * the files are complete and synced.
 */
import type { Disk } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { damageRefusal } from "../segment/damage.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import { type SegmentFiles, settledName } from "../segment/segment-files.ts";

/** Puts the files in place, durably. Does nothing if no replacement was interrupted. Throws what the disk throws. */
export function finishSettling(files: SegmentFiles, catalog: Catalog): void {
  const first = catalog.settling();
  if (first === undefined) return;
  const { disk, directory } = files;
  if (isComplete(disk, files.storePath(first), settledMeta(catalog, first))) files.takeSettled(first);
  else files.removeSettled(first);
  disk.syncDirectory(directory);
  catalog.write(catalogChange.settling(undefined));
}

/**
 * Checks, before anything is removed, that the store of a replacement is there. Without it, the files of the segments that it replaces
 * may be all that is left of them.
 * @throws Fault "corrupt" if neither the settled store nor the one in its place is what the catalog describes
 */
export function checkSettling(files: SegmentFiles, catalog: Catalog): void {
  const first = catalog.settling();
  const meta = first === undefined ? undefined : settledMeta(catalog, first);
  // A segment that was removed or opened again since has no length to compare.
  if (first === undefined || meta?.seal === undefined) return;
  const path = files.storePath(first);
  const sizes = [settledName(path), path].map((one) => sizeOf(files.disk, one));
  if (sizes.includes(meta.seal.storeBytes)) return;
  const why = sizes[1] === undefined ? "missing" : "length";
  throw damageRefusal({ path, position: Math.min(sizes[1] ?? 0, meta.seal.storeBytes), why });
}

const settledMeta = (catalog: Catalog, first: RaftIndex): SegmentMeta | undefined =>
  catalog.segments().find((one) => firstOf(one) === first);

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
  const bytes = sizeOf(disk, settledName(path)) ?? sizeOf(disk, path);
  return bytes !== undefined && bytes === meta?.seal?.storeBytes;
}

/** Undefined if there is no such file. */
function sizeOf(disk: Disk, path: string): number | undefined {
  if (!disk.exists(path)) return undefined;
  const file = disk.open(path, "read");
  try {
    return file.size();
  } finally {
    file.close();
  }
}
