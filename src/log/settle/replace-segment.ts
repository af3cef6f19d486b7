/**
 * Replaces the files of a sealed segment by its settled files, or those of neighbours by the files of the merged segment. The new
 * files are complete and synced. One write of the catalog decides.
 *
 *   catalog   the new length, and which segment is being replaced; without the neighbours, whose files are to be removed
 *   rename    store and index, and the log index of a merged segment
 *   catalog   nothing is being replaced
 *
 * finish-settling.ts finishes what a crash interrupts after the first write. PendingRemovals removes the files of the neighbours.
 */
import { certain, syncNames } from "../../lib/disk/disk.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import type { SegmentSet } from "../segment/segment-set.ts";

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
  catalog.write(catalogChange.segment(meta), catalogChange.settling(segment.first));
  try {
    takeFiles(files, segment.first);
  } catch (reason) {
    // Its files can be those of before and after. The next opening makes them equal; until then that is no damage.
    segment.gone();
    throw reason;
  }
  segment.replaced(meta);
}

/** The same for segments that follow each other in the log. `meta` describes the one that takes their place. */
export function replaceByMerged(
  segments: readonly SealedSegment[],
  meta: SegmentMeta,
  files: SegmentFiles,
  set: Pick<SegmentSet, "removals" | "merged">,
): void {
  const first = firstOf(meta);
  const gone = segments.slice(1).map((segment) => segment.first);
  set.removals.add(gone, catalogChange.segment(meta), catalogChange.settling(first));
  for (const segment of segments) segment.gone();
  takeFiles(files, first);
  set.merged(segments, meta);
  set.removals.run();
}

function takeFiles(files: SegmentFiles, first: number): void {
  certain(() => {
    files.takeSettled(first);
    syncNames(files.disk, files.directory);
  });
}

/** The replacement is in place: the catalog forgets it. Throws what the catalog throws; then it is done again before the next one. */
export function forgetReplacement(catalog: Catalog): void {
  if (catalog.settling() !== undefined) catalog.write(catalogChange.settling(undefined));
}
