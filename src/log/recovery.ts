/**
 * Opening a directory after whatever happened to it: brings files and catalog together, finds the end of the log,
 * and makes what it found durable before anybody relies on it.
 *
 * Only the last segment is scanned. An index entry in its file is a receipt: its frame was synced once. A frame that
 * does not chain is corruption when it has a receipt, or when more than one write group lies behind it; else it is
 * the torn group of a crash and is cut, with everything behind it, and kept beside as `*.cut`.
 *
 * What has no receipt may stand in the page cache only (a sync may have failed before the process died), so it is
 * written again and synced.
 *
 * Never: cuts what was synced, repairs what it cannot explain.
 */
import { Fault } from "../fault.ts";
import { toHex } from "../lib/bytes.ts";
import type { Disk, DiskFile } from "../lib/disk.ts";
import { heapMapper } from "../lib/mapped-file.ts";
import type { RaftIndex } from "../vocabulary.ts";
import { type Catalog, catalogChange } from "./catalog.ts";
import { type Scan, scanStore } from "./chain.ts";
import { decodeFooter, decodeIndexHeader, indexHeaderBytes, indexVersion } from "./index-file.ts";
import { ActiveIndex, entryBytes } from "./offset-index.ts";
import {
  ActiveSegment,
  baseOf,
  firstOf,
  indexBody,
  indexer,
  SealedSegment,
  type SegmentMeta,
} from "./segment.ts";
import { firstIndexOf, type SegmentFiles, storeName } from "./segment-files.ts";

/** A write group is at most this large: so much may be torn by one crash. */
export const groupBytesMax = 4 * 1024 * 1024;

/** What opening found and did. */
export interface RecoveryReport {
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

/** Says which directory is meant, and what can be done, in every refusal to start. */
function refuse(directory: string, path: string, position: number, why: string): Fault {
  return new Fault("corrupt", {
    message: `${path} is damaged at byte ${position} (${why}); nothing was changed. See what a repair would cut: tailrace repair ${directory}`,
    facts: { file: path, position, why, repair: `tailrace repair ${directory}` },
  });
}

/** The directory's id, checked or made. Throws "foreign-directory" for segment files without their catalog. */
export function identify(disk: Disk, directory: string, catalog: Catalog, newId: Uint8Array): Uint8Array {
  const known = catalog.directoryId();
  if (known !== undefined) return known;
  const logDirectory = `${directory}/log`;
  const strays = disk.list(logDirectory).filter((name) => firstIndexOf(name, "store") !== undefined);
  if (strays.length > 0) {
    throw new Fault("foreign-directory", {
      message: `${logDirectory} holds ${strays.length} segments, but the catalog that belongs to them in ${directory}/meta is gone; nothing was changed. See what a repair would do: tailrace repair ${directory}`,
      facts: {
        file: `${directory}/meta`,
        position: 0,
        why: "no-catalog",
        repair: `tailrace repair ${directory}`,
      },
    });
  }
  catalog.write(catalogChange.directory(newId));
  return newId;
}

/** Told of the sealed segments before the last one is scanned; answers who is to see its frames. */
export type FoldFrames = (
  sealed: readonly SealedSegment[],
  last: SegmentMeta | undefined,
) => (bytes: Uint8Array, at: number) => void;

/** Throws Fault "corrupt" (with file, position, why, repair) and "foreign-directory". `directory` is for messages. */
export function recover(
  files: SegmentFiles,
  catalog: Catalog,
  directoryId: Uint8Array,
  directory: string,
  fold: FoldFrames,
): Recovered {
  const { disk } = files;
  clean(files, catalog, directory);
  const metas = catalog.segments();
  for (const meta of metas) {
    const path = files.storePath(firstOf(meta));
    if (!disk.exists(path)) throw refuse(directory, path, 0, "missing");
  }
  const last = metas.pop();
  const sealed = metas.map((meta, ordinal) => {
    if (meta.seal === undefined) throw refuse(directory, files.storePath(firstOf(meta)), 0, "not sealed");
    const next = metas[ordinal + 1] ?? last;
    if (next !== undefined && next.before.crc !== meta.seal.lastCrc) {
      throw refuse(directory, files.storePath(firstOf(next)), 0, "does not follow the segment before");
    }
    return new SealedSegment(meta, files, directoryId);
  });
  const see = fold(sealed, last);
  if (last === undefined) {
    return {
      sealed,
      active: undefined,
      report: { scannedBytes: 0, rewrittenBytes: 0, cut: undefined, indexRebuilt: false },
    };
  }
  const { active, report } = recoverLast(last, files, catalog, directoryId, directory, see);
  return { sealed, active, report };
}

/** Removes what is known to be rubbish; refuses what is not known. */
function clean(files: SegmentFiles, catalog: Catalog, directory: string): void {
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
      if (bytes > 0) throw refuse(directory, path, 0, "not in the catalog");
      files.remove(first);
    }
  }
  disk.syncDirectory(files.directory);
  if (doomed.length > 0) catalog.write(catalogChange.doomed([]));
}

function recoverLast(
  listed: SegmentMeta,
  files: SegmentFiles,
  catalog: Catalog,
  directoryId: Uint8Array,
  directory: string,
  see: (bytes: Uint8Array, at: number) => void,
): { active: ActiveSegment; report: RecoveryReport } {
  const { disk } = files;
  const meta: SegmentMeta = { ...listed, seal: undefined };
  const first = firstOf(meta);
  const found = readIndexFile(files, first, directoryId);
  const index = new ActiveIndex(baseOf(meta));
  const store = disk.open(files.storePath(first), "write");
  const fileBytes = store.size();
  const enter = indexer(index);
  const scan = scanStore(store, fileBytes, meta.before, (bytes, at, position) => {
    enter(bytes, at, position);
    see(bytes, at);
  });
  const report = { scannedBytes: fileBytes, rewrittenBytes: 0, cut: undefined as RecoveryReport["cut"] };
  const path = store.path;
  if (scan.flaw !== undefined) {
    const span = fileBytes - scan.position;
    const received = index.length < found.receipts;
    if (received || (span > groupBytesMax && !catalog.unsynced())) {
      throw refuse(directory, path, scan.position, scan.flaw);
    }
    report.cut = cutTorn(files, first, store, scan, fileBytes);
  } else if (lostItsEnd(found, index, scan)) {
    throw refuse(directory, path, scan.position, "short");
  }
  const synced = Math.min(found.receipts, index.length);
  report.rewrittenBytes = rewrite(
    store,
    synced < index.length ? index.position(synced) : scan.position,
    scan.position,
  );
  const indexRebuilt = !isPrefix(found, index) || found.sealed;
  if (indexRebuilt) {
    files.drop(first);
    files.replace(files.indexPath(first), indexBody(directoryId, meta.before.crc, index));
    disk.syncDirectory(files.directory);
  }
  const indexFile = disk.open(files.indexPath(first), "write");
  const receipts = indexRebuilt ? index.length : synced;
  indexFile.truncate(indexHeaderBytes + entryBytes * receipts);
  const active = new ActiveSegment(meta, index, store, indexFile, {
    bytes: scan.position,
    end: scan.end,
    receipts,
  });
  active.writeReceipts();
  active.syncIndex();
  if (listed.seal !== undefined) catalog.write(catalogChange.segment(meta));
  return { active, report: { ...report, indexRebuilt } };
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
