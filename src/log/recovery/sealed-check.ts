/**
 * What opening looks at of the sealed segments, for a price that does not grow with the log:
 *
 *   every one               as the catalog lists it, its end joins the next one's beginning     (recovery)
 *   the newest 64           the store's length, and that its first frame joins the chain
 *   from the newest back    every byte of store and index, until a budget of bytes is used up
 *   what was noted          every byte of each segment in which damage was found while the log ran
 *
 * The rest is the scrub's. So a damage that was found once, or lies in what is checked here, refuses to start.
 *
 * Never: changes a store; an index that is damaged is built anew from its store, as always.
 */
import { errorCode } from "../../lib/disk/disk.ts";
import { scanStore } from "../frame/chain.ts";
import { frameBaseOffset, frameIndex, framePreviousCrc, headerBytes } from "../frame/frame.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { refusal } from "../segment/damage.ts";
import { entryBytes } from "../segment/offset-index.ts";
import type { SealedSegment } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";

/** Default of the budget: as much as one segment, which is scanned anyhow. */
export const checkBytesDefault = 64 * 1024 * 1024;
const joinsMax = 64;

/** What was looked at. */
export interface SealedCheck {
  /** Sealed segments whose length and beginning were looked at. */
  readonly joinedSegments: number;
  /** Bytes of sealed stores and their indexes that were read and checked. */
  readonly checkedBytes: number;
}

/** Throws Fault "corrupt" with file, position, why and the repair command. */
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
  const checked = new Set<SealedSegment>();
  for (const segment of newest) {
    const bytes = sizeOf(segment);
    if (bytes > left) break;
    left -= bytes;
    checkWhole(segment, files);
    checked.add(segment);
  }
  let noted = 0;
  for (const first of catalog.damaged()) {
    const segment = sealed.find((one) => one.first === first);
    if (segment !== undefined && !checked.has(segment)) {
      checkWhole(segment, files);
      noted += sizeOf(segment);
    }
    // Whatever it was, it is not there any more: somebody put the right bytes back.
    catalog.write(catalogChange.damage(first, undefined));
  }
  return { joinedSegments: joined.length, checkedBytes: bytesMax - left + noted };
}

const sizeOf = ({ bytes, seal }: SealedSegment): number => bytes + entryBytes * seal.entries;

/** Is the store there, as long as it was sealed, and does it begin where the segment before ended? */
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
    throw refusal({ path, position: 0, why: "missing" });
  }
  if (size !== bytes) throw refusal({ path, position: Math.min(size, bytes), why: "length" });
  const joins =
    framePreviousCrc(head, 0) === before.crc &&
    frameIndex(head, 0) === before.index + 1 &&
    (frameBaseOffset(head, 0) === before.nextOffset || before.index === 0);
  if (!joins) throw refusal({ path, position: 0, why: "chain" });
}

function checkWhole(segment: SealedSegment, files: SegmentFiles): void {
  const { path, bytes, seal, meta } = segment;
  const store = files.disk.open(path, "read");
  try {
    const scan = scanStore(store, bytes, meta.before, () => {});
    const why =
      scan.flaw ?? (scan.end.crc === seal.lastCrc && scan.position === bytes ? undefined : "length");
    if (why !== undefined) throw refusal({ path, position: scan.position, why });
  } finally {
    store.close();
  }
  segment.checkIndex();
}
