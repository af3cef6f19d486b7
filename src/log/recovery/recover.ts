/**
 * Opening a directory after whatever happened to it: brings files and catalog together, finds the end of the log,
 * and makes what it found durable before anybody relies on it.
 *
 * Of the segments only the last is scanned whole, and of the sealed ones as much as a fixed budget allows (see
 * sealed-check), so opening costs the same however large the log is. An index entry in its file is a receipt: its frame was synced once. A frame that
 * does not chain is corruption when it has a receipt, or when more than one write group lies behind it; else it is
 * the torn group of a crash and is cut, with everything behind it, and kept beside as `*.cut`. A frame with a right
 * checksum and wrong content is corruption always: no crash writes one.
 *
 * What has no receipt may stand in the page cache only (a sync may have failed before the process died), so it is
 * written again and synced.
 *
 * Never: cuts what was synced, repairs what it cannot explain.
 */
import { Fault } from "../../fault.ts";
import { toHex } from "../../lib/bytes.ts";
import type { Disk, DiskFile } from "../../lib/disk/disk.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { RaftIndex } from "../../types.ts";
import { isContentFlaw, type Scan, scanStore } from "../frame/chain.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { catalogGone } from "../segment/catalog-file.ts";
import { refusal } from "../segment/damage.ts";
import { decodeFooter, decodeIndexHeader, indexHeaderBytes, indexVersion } from "../segment/index-file.ts";
import { ActiveIndex, entryBytes } from "../segment/offset-index.ts";
import {
  ActiveSegment,
  baseOf,
  firstOf,
  indexBody,
  indexer,
  SealedSegment,
  type SegmentMeta,
} from "../segment/segment.ts";
import { firstIndexOf, type SegmentFiles, storeName } from "../segment/segment-files.ts";
import { checkSealed, type SealedCheck } from "./sealed-check.ts";

/** What opening found and did. */
export interface RecoveryReport extends SealedCheck {
  /** Of the last segment. */
  readonly scannedBytes: number;
  /** Written again because no receipt said that it was durable. */
  readonly rewrittenBytes: number;
  /** A torn group that was cut off and kept in `file`. */
  readonly cut: { readonly file: string; readonly position: number; readonly bytes: number } | undefined;
  readonly indexRebuilt: boolean;
}

export interface Recovered {
  readonly sealed: SealedSegment[];
  readonly active: ActiveSegment | undefined;
  readonly report: RecoveryReport;
}

/** The directory's id, checked or made. Throws Fault "corrupt" for segment files without their catalog. */
export function ensureDirectoryId(
  disk: Disk,
  directory: string,
  catalog: Catalog,
  newId: Uint8Array,
): Uint8Array {
  const known = catalog.directoryId();
  if (known !== undefined) return known;
  const logDirectory = `${directory}/log`;
  const strays = disk.list(logDirectory).filter((name) => firstIndexOf(name, "store") !== undefined);
  if (strays.length > 0) throw catalogGone(directory, strays.length);
  catalog.write(catalogChange.directory(newId));
  return newId;
}

/** Told of the sealed segments before the last one is scanned; answers who is to see its frames. */
export type FoldFrames = (
  sealed: readonly SealedSegment[],
  last: SegmentMeta | undefined,
) => (bytes: Uint8Array, at: number) => void;

/** Throws Fault "corrupt" (with file, position, why, repair) and "foreign-directory". */
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
  const sealed = metas.map((meta, ordinal) => {
    const path = files.storePath(firstOf(meta));
    if (meta.seal === undefined) throw refusal({ path, position: 0, why: "not sealed" });
    const next = metas[ordinal + 1] ?? last;
    if (next !== undefined && (next.before.crc !== meta.seal.lastCrc || next.before.index !== lastOf(meta))) {
      const why = "does not follow the segment before";
      throw refusal({ path: files.storePath(firstOf(next)), position: 0, why });
    }
    return new SealedSegment(meta, files, directoryId);
  });
  if (last !== undefined && !files.disk.exists(files.storePath(firstOf(last)))) {
    throw refusal({ path: files.storePath(firstOf(last)), position: 0, why: "missing" });
  }
  const check = checkSealed(sealed, files, catalog, checkBytesMax);
  const see = fold(sealed, last);
  if (last === undefined) {
    const none = { scannedBytes: 0, rewrittenBytes: 0, cut: undefined, indexRebuilt: false };
    return { sealed, active: undefined, report: { ...check, ...none } };
  }
  const { active, report } = recoverLast(last, files, catalog, directoryId, see);
  return { sealed, active, report: { ...check, ...report } };
}

const lastOf = ({ before, seal }: SegmentMeta): RaftIndex => before.index + (seal?.entries ?? 0);

/** Removes what is known to be rubbish; refuses what is not known. */
function clean(files: SegmentFiles, catalog: Catalog): void {
  const { disk } = files;
  const doomed = catalog.doomed();
  for (const first of doomed) files.remove(first);
  const listed = new Set<RaftIndex>(catalog.segments().map(firstOf));
  for (const name of disk.list(files.directory)) {
    const path = `${files.directory}/${name}`;
    const first = firstIndexOf(name, "store");
    if (name.endsWith(".tmp")) disk.remove(path);
    else if (first !== undefined && !listed.has(first)) {
      // A roll that did not come to its end leaves an empty store; nothing is written before it is listed.
      const file = disk.open(path, "read");
      const bytes = file.size();
      file.close();
      if (bytes > 0) throw refusal({ path, position: 0, why: "not in the catalog" });
      files.remove(first);
    }
  }
  disk.syncDirectory(files.directory);
  if (doomed.length > 0) catalog.write(catalogChange.doomed([]));
}

type LastReport = Omit<RecoveryReport, keyof SealedCheck>;

function recoverLast(
  listed: SegmentMeta,
  files: SegmentFiles,
  catalog: Catalog,
  directoryId: Uint8Array,
  see: (bytes: Uint8Array, at: number) => void,
): { active: ActiveSegment; report: LastReport } {
  const { disk } = files;
  const meta: SegmentMeta = { ...listed, seal: undefined };
  const first = firstOf(meta);
  const found = readIndexFile(files, first, directoryId);
  const index = new ActiveIndex(baseOf(meta));
  const store = disk.open(files.storePath(first), "write");
  let scan: Scan;
  let report: LastReport;
  try {
    const fileBytes = store.size();
    const enter = indexer(index);
    scan = scanStore(store, fileBytes, meta.before, (bytes, at, position) => {
      const flaw = enter(bytes, at, position);
      if (flaw === undefined) see(bytes, at);
      return flaw;
    });
    const cut = cutIfTorn(files, catalog, { first, store, scan, fileBytes, found, index });
    const synced = Math.min(found.receipts, index.length);
    const from = synced < index.length ? index.position(synced) : scan.position;
    const rewrittenBytes = rewrite(store, from, scan.position);
    const indexRebuilt = !isPrefix(found, index) || found.sealed;
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
  const active = ActiveSegment.open(meta, index, files, { bytes: scan.position, end: scan.end, receipts });
  active.settleReceipts();
  if (listed.seal !== undefined) catalog.write(catalogChange.segment(meta));
  return { active, report };
}

interface LastStore {
  readonly first: RaftIndex;
  readonly store: DiskFile;
  readonly scan: Scan;
  readonly fileBytes: number;
  readonly found: FoundIndex;
  readonly index: ActiveIndex;
}

/** Cuts off what a crash may have torn; throws Fault "corrupt" for what no crash explains. */
function cutIfTorn(files: SegmentFiles, catalog: Catalog, last: LastStore): RecoveryReport["cut"] {
  const { store, scan, fileBytes, found, index } = last;
  const at = { path: store.path, position: scan.position };
  if (scan.flaw === undefined) {
    if (lostItsEnd(found, index, scan)) throw refusal({ ...at, why: "short" });
    return undefined;
  }
  const received = index.length < found.receipts || isContentFlaw(scan.flaw);
  const span = fileBytes - scan.position;
  if (received || (span > groupBytesMax && !catalog.unsynced())) throw refusal({ ...at, why: scan.flaw });
  return cutTorn(files, last.first, store, scan, fileBytes);
}

interface FoundIndex {
  /** Header and entries as they are in the file, without a footer; empty when they cannot be trusted at all. */
  readonly body: Uint8Array;
  readonly receipts: number;
  readonly sealed: boolean;
}

/** A header of another directory is no damage: it throws Fault "foreign-directory". */
function readIndexFile(files: SegmentFiles, first: RaftIndex, directoryId: Uint8Array): FoundIndex {
  const path = files.indexPath(first);
  if (!files.disk.exists(path)) return { body: new Uint8Array(0), receipts: 0, sealed: false };
  const file = heapMapper(files.disk)(path);
  const seal = decodeFooter(file);
  const entries = seal?.entries ?? Math.max(0, Math.floor((file.bytes - indexHeaderBytes) / entryBytes));
  const body = file.copy(0, Math.min(file.bytes, indexHeaderBytes + entryBytes * entries));
  const header = decodeIndexHeader(body);
  if (header === undefined) return { body: new Uint8Array(0), receipts: entries, sealed: false };
  if (header.version !== indexVersion) {
    throw new Fault("unsupported-version", {
      message: `${path} has version ${header.version}, this version reads ${indexVersion}`,
      facts: { file: path, found: header.version, expected: indexVersion },
    });
  }
  if (toHex(header.directoryId) !== toHex(directoryId)) {
    throw new Fault("foreign-directory", {
      message: `${path} belongs to directory ${toHex(header.directoryId)}, this is ${toHex(directoryId)}`,
      facts: { file: path },
    });
  }
  return { body, receipts: entries, sealed: seal !== undefined };
}

/** Is there a receipt for the very frame that would come next? Then the store has lost its end. */
function lostItsEnd(found: FoundIndex, index: ActiveIndex, scan: Scan): boolean {
  if (found.receipts <= index.length || found.body.length === 0) return false;
  if (found.sealed) return true;
  const expected = new ActiveIndex(index.base);
  expected.append(
    scan.end.nextOffset,
    scan.position,
    scan.end.term,
    Math.max(scan.end.timestampMs, index.base.timestampMs),
  );
  const at = indexHeaderBytes + entryBytes * index.length;
  return Buffer.compare(found.body.subarray(at, at + 8), expected.bytes(0, 1).subarray(0, 8)) === 0;
}

/** Does the file say the same as the scan, as far as it goes? */
function isPrefix(found: FoundIndex, index: ActiveIndex): boolean {
  if (found.body.length < indexHeaderBytes) return false;
  const entries = Math.min(found.receipts, index.length);
  const theirs = found.body.subarray(indexHeaderBytes, indexHeaderBytes + entryBytes * entries);
  return Buffer.compare(theirs, index.bytes(0, entries)) === 0;
}

/** Keeps everything from the scan's end on in a file of its own, then cuts it off. */
function cutTorn(
  files: SegmentFiles,
  first: RaftIndex,
  store: DiskFile,
  scan: Scan,
  fileBytes: number,
): RecoveryReport["cut"] {
  const file = `${files.directory}/${storeName(first)}.${scan.position}.cut`;
  const bytes = new Uint8Array(fileBytes - scan.position);
  store.read(bytes, scan.position);
  files.replace(file, bytes);
  files.disk.syncDirectory(files.directory);
  store.truncate(scan.position);
  store.sync();
  return { file, position: scan.position, bytes: bytes.length };
}

/** Writes what is there once more and syncs it. */
function rewrite(store: DiskFile, from: number, to: number): number {
  const buffer = new Uint8Array(Math.min(1 << 20, to - from));
  for (let at = from; at < to; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, to - at));
    store.read(part, at);
    store.write(part, at);
  }
  store.sync();
  return to - from;
}
