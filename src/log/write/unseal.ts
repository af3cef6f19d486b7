/** Opens a sealed segment as an active one, when what follows it is cut off. */
import { syncNames } from "../../lib/disk/disk.ts";
import { ActiveIndex } from "../index/offset-index.ts";
import { indexBody } from "../index/segment-index.ts";
import { ActiveSegment } from "../segment/active-segment.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import { baseOf, type SegmentMeta } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";

/**
 * Its index is written to a new file without the footer, and renamed. The catalog still calls it sealed: if the cut does not happen,
 * the index is rebuilt from the store. Throws what the disk throws.
 */
export function unsealed(
  segment: SealedSegment,
  files: SegmentFiles,
  directoryId: Uint8Array,
): ActiveSegment {
  const { before, baseTimestampMs } = segment.meta;
  const meta: SegmentMeta = { before, baseTimestampMs, seal: undefined };
  const index = new ActiveIndex(baseOf(meta));
  const { storeBytes, entries } = segment.seal;
  segment.lookup((from) => {
    index.truncate(0);
    for (let k = 0; k < from.length; k++)
      index.append(from.offset(k), from.position(k), from.term(k), from.timestampMs(k));
  });
  const logs = segment.growingLogs();
  files.drop(segment.first);
  files.replace(files.indexPath(segment.first), indexBody(directoryId, before.crc, index));
  syncNames(files.disk, files.directory);
  return ActiveSegment.open(meta, index, logs, files, {
    bytes: storeBytes,
    end: segment.end,
    receipts: entries,
    settled: segment.meta.settled,
  });
}
