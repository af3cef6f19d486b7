/**
 * Recovers the last segment: scans every byte, cuts a torn write group, and makes what it found durable.
 *
 * An index entry in its file is a receipt: its frame was synced. A frame that does not chain is corruption if it has a
 * receipt, or if more than one write group lies behind it. Otherwise it is the torn group of a crash: it is cut with
 * everything behind it, and kept in a file `*.cut`. A frame with a right checksum and wrong content is always corruption,
 * because no crash writes one. Zeros behind the last frame are cut off: see zero-tail.ts.
 *
 * Frames without a receipt may be in the page cache only (a sync may have failed before the process died), so they are
 * written again and synced. So may be the size, after zeros were cut off: the store is cut again.
 */
import type { DiskFile } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import { isContentFlaw, type Scan, scanStore } from "../frame/chain.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import { endOfData } from "../frame/zero-tail.ts";
import { ActiveLogIndex } from "../index/log-index.ts";
import { ActiveIndex } from "../index/offset-index.ts";
import { enterFrame, enterNamed, indexBody, type LastBatch } from "../index/segment-index.ts";
import { ActiveSegment } from "../segment/active-segment.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { damageRefusal } from "../segment/damage.ts";
import { baseOf, firstOf, type SegmentMeta } from "../segment/segment.ts";
import { type SegmentFiles, storeName } from "../segment/segment-files.ts";
import { countSettled } from "../settle/merged-meta.ts";
import type { LogState } from "../state/log-state.ts";
import { agrees, type FoundIndex, lostItsEnd, readFoundIndex } from "./found-index.ts";

/** A torn group that was cut off and kept in `file`. */
interface TornCut {
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
}

export interface LastSegmentReport {
  /** Bytes of the store. */
  readonly scannedBytes: number;
  /** Bytes that were written again because they had no receipt. */
  readonly rewrittenBytes: number;
  readonly cut: TornCut | undefined;
  readonly indexRebuilt: boolean;
}

/** Recovers the segment and continues `state` with its frames. @throws Fault "corrupt", "foreign-directory", "unsupported-version" */
export function recoverLast(
  listed: SegmentMeta,
  files: SegmentFiles,
  catalog: Catalog,
  directoryId: Uint8Array,
  state: LogState,
): { readonly active: ActiveSegment; readonly report: LastSegmentReport } {
  const { disk } = files;
  const { before: listedBefore, baseTimestampMs } = listed;
  const meta: SegmentMeta = { before: listedBefore, baseTimestampMs, seal: undefined };
  const first = firstOf(meta);
  const found = readFoundIndex(files, first, directoryId);
  const index = new ActiveIndex(baseOf(meta));
  const logs = new ActiveLogIndex();
  const lastBatch: LastBatch = (id, before) => state.logs.lastBatch(id, before);
  const settled = { frames: 0, bytes: 0 };
  const store = disk.open(files.storePath(first), "write");
  let scan: Scan;
  let report: LastSegmentReport;
  try {
    const fileBytes = store.size();
    scan = scanStore(store, fileBytes, meta.before, (bytes, at, position, before) => {
      // A frame that is not taken has no index entry.
      const flaw = state.stage(bytes, at) ?? enterFrame(index, bytes, at, position, before);
      if (flaw !== undefined) return flaw;
      enterNamed(logs, index.length - 1, bytes, at, lastBatch);
      countSettled(settled, bytes, at);
      return undefined;
    });
    const cut = cutIfTorn(files, catalog, { first, store, scan, fileBytes, found, index });
    const synced = Math.min(found.receipts, index.length);
    const from = synced < index.length ? index.position(synced) : scan.position;
    const rewrittenBytes = rewrite(store, from, scan.position);
    const indexRebuilt = !agrees(found, index) || found.sealed;
    report = { scannedBytes: fileBytes, rewrittenBytes, cut, indexRebuilt };
  } finally {
    store.close();
  }
  if (report.indexRebuilt) {
    files.drop(first);
    files.replace(files.indexPath(first), indexBody(directoryId, meta.before.crc, index));
    disk.syncDirectory(files.directory);
  }
  const receipts = report.indexRebuilt ? index.length : Math.min(found.receipts, index.length);
  const active = ActiveSegment.open(meta, index, logs, files, {
    bytes: scan.position,
    end: scan.end,
    receipts,
    settled,
  });
  active.settleReceipts();
  if (listed.seal !== undefined) catalog.write(catalogChange.segment(meta));
  return { active, report };
}

interface ScannedStore {
  readonly first: RaftIndex;
  readonly store: DiskFile;
  readonly scan: Scan;
  readonly fileBytes: number;
  readonly found: FoundIndex;
  readonly index: ActiveIndex;
}

/**
 * Cuts off what a crash may have torn.
 * @throws Fault "corrupt" for what no crash explains
 */
function cutIfTorn(files: SegmentFiles, catalog: Catalog, scanned: ScannedStore): TornCut | undefined {
  const { store, scan, fileBytes, found, index } = scanned;
  const at = { path: store.path, position: scan.position };
  if (scan.flaw === undefined) {
    if (lostItsEnd(found, index, scan)) throw damageRefusal({ ...at, why: "short" });
    return undefined;
  }
  const hasReceipt = index.length < found.receipts;
  const tooLong = fileBytes - scan.position > groupBytesMax && !catalog.unsynced();
  if (hasReceipt || isContentFlaw(scan.flaw) || tooLong) throw damageRefusal({ ...at, why: scan.flaw });
  const dataBytes = endOfData(store, scan.position, fileBytes);
  const cut = dataBytes === scan.position ? undefined : keepTorn(files, scanned, dataBytes);
  store.truncate(scan.position);
  store.sync();
  return cut;
}

/** Copies everything from the scan's end on, without the zeros behind it, to a file. */
function keepTorn(files: SegmentFiles, { first, store, scan }: ScannedStore, dataBytes: number): TornCut {
  const file = `${files.directory}/${storeName(first)}.${scan.position}.cut`;
  const bytes = new Uint8Array(dataBytes - scan.position);
  store.read(bytes, scan.position);
  files.replace(file, bytes);
  files.disk.syncDirectory(files.directory);
  return { file, position: scan.position, bytes: bytes.length };
}

/** Writes the bytes `from … to−1` again, cuts the store there again, and syncs. Returns how many bytes were written. */
function rewrite(store: DiskFile, from: number, to: number): number {
  const buffer = new Uint8Array(Math.min(1 << 20, to - from));
  for (let at = from; at < to; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, to - at));
    store.read(part, at);
    store.write(part, at);
  }
  store.truncate(to);
  store.sync();
  return to - from;
}
