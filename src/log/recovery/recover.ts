/**
 * Opens the segments of a directory in any state that a crash can leave: makes catalog and files agree, checks the sealed
 * segments within a budget (see sealed-check), and recovers the last segment (see recover-last). So opening costs the
 * same for a log of any size. What no crash explains is refused, and nothing is changed.
 */
import type { Disk } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import { removeOtherStarts } from "../producers/start-producers.ts";
import { removeOtherBases } from "../rows/base-files.ts";
import type { ActiveSegment } from "../segment/active-segment.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { catalogGone } from "../segment/catalog-file.ts";
import { damageRefusal } from "../segment/damage.ts";
import { SealedSegment, type SealedSegments } from "../segment/sealed-segment.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import { firstIndexOf, type SegmentFiles, settledName } from "../segment/segment-files.ts";
import { checkSettling, finishSettling } from "../settle/finish-settling.ts";
import type { LogState } from "../state/log-state.ts";
import { type LastSegmentReport, recoverLast } from "./recover-last.ts";
import { checkSealed, type SealedCheck } from "./sealed-check.ts";

/** What opening found and did. */
export interface RecoveryReport extends SealedCheck, LastSegmentReport {}

export interface Recovered {
  readonly all: SealedSegments;
  readonly active: ActiveSegment | undefined;
  readonly report: RecoveryReport;
}

/**
 * Returns the directory's id. A new directory gets `newId`.
 * @throws Fault "corrupt" for segment files without their catalog
 */
export function ensureDirectoryId(
  disk: Disk,
  directory: string,
  catalog: Catalog,
  newId: Uint8Array,
): Uint8Array {
  const known = catalog.directoryId();
  if (known !== undefined) return known;
  const logDirectory = `${directory}/log`;
  const stores = disk.list(logDirectory).filter((name) => firstIndexOf(name, "store") !== undefined);
  if (stores.length > 0) throw catalogGone(directory, stores.length);
  catalog.write(catalogChange.directory(newId, 0));
  return newId;
}

/** Gets the sealed segments before the last one is scanned. Returns the state, which the frames of the last one continue. */
export type FoldFrames = (sealed: readonly SealedSegment[], last: SegmentMeta | undefined) => LogState;

/** @throws Fault "corrupt" (with file, position, why, repair), "foreign-directory", "unsupported-version" */
export function recover(
  files: SegmentFiles,
  catalog: Catalog,
  directoryId: Uint8Array,
  checkBytesMax: number,
  fold: FoldFrames,
): Recovered {
  clean(files, catalog);
  const metas = catalog.segments();
  const last = metas.pop();
  const sealed: SealedSegment[] = [];
  const all: SealedSegments = { sealed };
  for (const [ordinal, meta] of metas.entries()) {
    checkListed(meta, metas[ordinal + 1] ?? last, files);
    sealed.push(new SealedSegment(meta, files, directoryId, all));
  }
  if (last !== undefined && !files.disk.exists(files.storePath(firstOf(last)))) {
    throw damageRefusal({ path: files.storePath(firstOf(last)), position: 0, why: "missing" });
  }
  const check = checkSealed(sealed, files, catalog, checkBytesMax);
  const folded = fold(sealed, last);
  if (last === undefined) {
    const nothing = { scannedBytes: 0, rewrittenBytes: 0, cut: undefined, indexRebuilt: false };
    return { all, active: undefined, report: { ...check, ...nothing } };
  }
  const { active, report } = recoverLast(last, files, catalog, directoryId, folded);
  return { all, active, report: { ...check, ...report } };
}

/** Checks that the catalog lists the segment as sealed, and that `next` follows it. */
function checkListed(meta: SegmentMeta, next: SegmentMeta | undefined, files: SegmentFiles): void {
  const { before, seal } = meta;
  if (seal === undefined) {
    throw damageRefusal({ path: files.storePath(firstOf(meta)), position: 0, why: "not sealed" });
  }
  if (next === undefined) return;
  if (next.before.crc === seal.lastCrc && next.before.index === before.index + seal.entries) return;
  const why = "does not follow the segment before";
  throw damageRefusal({ path: files.storePath(firstOf(next)), position: 0, why });
}

/** Removes files that are known to be left over. @throws Fault "corrupt" for a store that is not in the catalog, or a lost replacement */
function clean(files: SegmentFiles, catalog: Catalog): void {
  const { disk } = files;
  checkSettling(files, catalog);
  finishSettling(files, catalog);
  const pending = catalog.pendingRemovals();
  for (const first of pending) files.remove(first);
  removeOtherBases(files, [catalog.rowFiles().base]);
  const [start] = catalog.segments();
  removeOtherStarts(files, [catalog.startProducers(), start && catalog.producersFile(firstOf(start))]);
  const listed = new Set<RaftIndex>(catalog.segments().map(firstOf));
  for (const name of disk.list(files.directory)) {
    const path = `${files.directory}/${name}`;
    const first = firstIndexOf(name, "store");
    if (name.endsWith(".tmp") || name.endsWith(settledName(""))) disk.remove(path);
    else if (first !== undefined && !listed.has(first)) {
      // A roll that was interrupted leaves an empty store: nothing is written to a store before it is in the catalog.
      const file = disk.open(path, "read");
      const bytes = file.size();
      file.close();
      if (bytes > 0) throw damageRefusal({ path, position: 0, why: "not in the catalog" });
      files.remove(first);
    }
  }
  disk.syncDirectory(files.directory);
  if (pending.length > 0) catalog.write(catalogChange.pendingRemovals([]));
}
