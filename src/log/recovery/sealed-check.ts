/**
 * What opening checks of the sealed segments, at a cost that does not grow with the log:
 *
 *   every segment           its end in the catalog is where the next segment begins            (recover)
 *   the newest 64           the length of the store, and that its first frame follows the chain
 *   from the newest back    every byte of store and index, until a budget of bytes is used up. In segments that name logs, a
 *                           frame counts as 8 KiB
 *   saved damage            every byte of each segment in which damage was found while the log ran
 *
 * The scrub checks the rest. So damage that was found once, or is in what is checked here, refuses the start. A damaged
 * index is rebuilt from its store.
 */
import { errorCode } from "../../lib/disk/disk.ts";
import { defaultBase, scanStore } from "../frame/chain.ts";
import { frameIndex, framePreviousCrc, headerBytes } from "../frame/frame.ts";
import { entryBytes } from "../index/offset-index.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { damageRefusal } from "../segment/damage.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";

/** The default budget: the size of one segment, as the last segment is always scanned. */
export const checkBytesDefault = 64 * 1024 * 1024;
/** How many of the newest segments are checked for their length and first frame. */
const joinsMax = 64;

/** What was checked. */
export interface SealedCheck {
  /** Sealed segments whose length and first frame were checked. */
  readonly joinedSegments: number;
  /** Bytes of sealed stores and their indexes that were checked. */
  readonly checkedBytes: number;
}

/** @throws Fault "corrupt" with file, position, why and the repair command */
export function checkSealed(
  sealed: readonly SealedSegment[],
  files: SegmentFiles,
  catalog: Catalog,
  bytesMax: number,
): SealedCheck {
  const newest = sealed.toReversed();
  const joined = newest.slice(0, joinsMax);
  for (const segment of joined) checkJoin(segment, files);
  let left = bytesMax;
  let checkedBytes = 0;
  const checked = new Set<SealedSegment>();
  for (const segment of newest) {
    const cost = costOf(segment);
    if (cost > left) break;
    left -= cost;
    checkedBytes += sizeOf(segment);
    checkWhole(segment, files);
    checked.add(segment);
  }
  for (const first of catalog.damaged()) {
    const segment = sealed.find((one) => one.first === first);
    if (segment !== undefined && !checked.has(segment)) {
      checkWhole(segment, files);
      checkedBytes += sizeOf(segment);
    }
    // The damage is gone: the right bytes were restored.
    catalog.write(catalogChange.damage(first, undefined));
  }
  return { joinedSegments: joined.length, checkedBytes };
}

const sizeOf = ({ bytes, seal }: SealedSegment): number => bytes + entryBytes * seal.entries;

/**
 * What a frame counts at least, in a segment that names logs. Checking it takes as long as checking 8 KiB. Segments of many
 * small frames are common there, and 64 MiB of them would take seconds.
 */
const namedFrameBytes = 8192;

const costOf = (segment: SealedSegment): number =>
  segment.meta.namesLogs === true
    ? Math.max(sizeOf(segment), namedFrameBytes * segment.seal.entries)
    : sizeOf(segment);

/** Checks that the store exists, has the length at which it was sealed, and begins where the segment before ended. */
function checkJoin({ path, bytes, meta: { before } }: SealedSegment, { disk }: SegmentFiles): void {
  const head = new Uint8Array(headerBytes);
  let size: number;
  try {
    const store = disk.open(path, "read");
    size = store.size();
    store.read(head, 0);
    store.close();
  } catch (reason) {
    if (errorCode(reason) !== "ENOENT") throw reason;
    throw damageRefusal({ path, position: 0, why: "missing" });
  }
  if (size !== bytes) throw damageRefusal({ path, position: Math.min(size, bytes), why: "length" });
  const joins =
    framePreviousCrc(head, 0) === before.crc &&
    frameIndex(head, 0) === before.index + 1 &&
    (before.index === 0 || defaultBase(head, 0, before) === before.nextOffset);
  if (!joins) throw damageRefusal({ path, position: 0, why: "chain" });
}

function checkWhole(segment: SealedSegment, files: SegmentFiles): void {
  const { path, bytes, seal, meta } = segment;
  const store = files.disk.open(path, "read");
  try {
    const scan = scanStore(store, bytes, meta.before, () => undefined);
    const why =
      scan.flaw ?? (scan.end.crc === seal.lastCrc && scan.position === bytes ? undefined : "length");
    if (why !== undefined) throw damageRefusal({ path, position: scan.position, why });
  } finally {
    store.close();
  }
  segment.checkIndex();
}
