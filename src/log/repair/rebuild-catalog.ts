/**
 * Rebuilds the content of a lost catalog from the stores and the headers of the index files.
 */
import { Fault } from "../../fault.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { Offset, RaftIndex } from "../../types.ts";
import { type ChainEnd, chainStart, scanStore } from "../frame/chain.ts";
import { frameBaseOffset, frameLogId, frameTimestampMs } from "../frame/frame.ts";
import { decodeIndexHeader, type IndexHeader, indexHeaderBytes } from "../index/index-file.ts";
import type { SegmentMeta } from "../segment/segment.ts";
import { firstIndexOf, type SegmentFiles } from "../segment/segment-files.ts";

/** Returns the list of segments, up to the first one of which the start is unknown. */
export function metasFromFiles(files: SegmentFiles): SegmentMeta[] {
  const metas: SegmentMeta[] = [];
  let end: ChainEnd | undefined;
  for (const name of files.disk.list(files.directory)) {
    const first = firstIndexOf(name, "store");
    if (first === undefined) continue;
    // Its frames are in the segment before: a merge was about to remove it.
    if (end !== undefined && first <= end.index) continue;
    let before: ChainEnd | undefined = end?.index === first - 1 ? end : beforeFromHeader(files, first);
    if (before === undefined) break;
    const store = files.disk.open(files.storePath(first), "read");
    let baseTimestampMs: number | undefined;
    let baseOffset: Offset | undefined;
    const scan = scanStore(store, store.size(), before, (bytes, at) => {
      baseTimestampMs ??= frameTimestampMs(bytes, at);
      baseOffset ??= frameLogId(bytes, at) === 0 ? frameBaseOffset(bytes, at) : undefined;
      return undefined;
    });
    store.close();
    // The log's first frame defines where offsets begin.
    if (before.index === 0) before = { ...before, nextOffset: baseOffset ?? before.nextOffset };
    metas.push({ before, baseTimestampMs: baseTimestampMs ?? before.timestampMs, seal: undefined });
    end = scan.end;
  }
  return metas;
}

/** @throws Fault "failed-precondition" if no index file holds the directory's id */
export function directoryIdFromFiles(files: SegmentFiles): Uint8Array {
  for (const name of files.disk.list(files.directory)) {
    const first = firstIndexOf(name, "index");
    const header = first === undefined ? undefined : readHeader(files, first);
    if (header !== undefined) return header.directoryId;
  }
  throw new Fault("failed-precondition", { message: "no index file holds the directory's id" });
}

/** The header holds no term and time of the batch before. Both are lower bounds, so the lowest values are right. */
function beforeFromHeader(files: SegmentFiles, first: RaftIndex): ChainEnd | undefined {
  const header = readHeader(files, first);
  if (header === undefined) return first === 1 ? chainStart : undefined;
  const { base, previousCrc } = header;
  return { index: first - 1, term: 0, nextOffset: base.offset, timestampMs: 0, crc: previousCrc };
}

function readHeader(files: SegmentFiles, first: RaftIndex): IndexHeader | undefined {
  const path = files.indexPath(first);
  if (!files.disk.exists(path)) return undefined;
  const file = heapMapper(files.disk)(path);
  return decodeIndexHeader(file.copy(0, Math.min(indexHeaderBytes, file.bytes)));
}
