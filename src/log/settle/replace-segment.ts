/**
 * Replaces the files of a sealed segment by its settled files, which are complete and synced. One write of the catalog decides.
 *
 *   catalog   the new length, and which segment is being replaced
 *   rename    store and index
 *   catalog   nothing is being replaced
 *
 * finish-settling.ts finishes what a crash interrupts after the first write.
 */
import { certain, syncNames } from "../../lib/disk/disk.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentMeta } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";

/**
 * The segment is in the log, and no other one is being replaced. Throws what the catalog throws; DiskUncertain if it stopped in
 * between.
 */
export function replaceBySettled(
  segment: SealedSegment,
  meta: SegmentMeta,
  files: SegmentFiles,
  catalog: Catalog,
): void {
  const { first } = segment;
  catalog.write(catalogChange.segment(meta), catalogChange.settling(first));
  certain(() => {
    files.takeSettled(first);
    syncNames(files.disk, files.directory);
  });
  segment.replaced(meta);
}

/** The replacement is in place: the catalog forgets it. Throws what the catalog throws; then it is done again before the next one. */
export function forgetReplacement(catalog: Catalog): void {
  if (catalog.settling() !== undefined) catalog.write(catalogChange.settling(undefined));
}
