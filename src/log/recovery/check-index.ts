/** Compares the index files of a segment with what its store says. Reads only. */
import { toHex } from "../../lib/bytes.ts";
import { type Disk, NotRegularFile } from "../../lib/disk/disk.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { RaftIndex } from "../../types.ts";
import type { Scan } from "../frame/chain.ts";
import { DamagedPage, decodeFooter, decodeIndexHeader, indexHeaderBytes } from "../index/index-file.ts";
import type { ActiveLogIndex } from "../index/log-index.ts";
import { type ActiveIndex, entryBytes } from "../index/offset-index.ts";
import { SealedLogIndex, type StorePlaces, sameLogs } from "../index/sealed-log-index.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import { indexName, logsName, storeName } from "../segment/segment-files.ts";
import { currentPath } from "../settle/finish-settling.ts";

/** Gets what is wrong with a file, in one word. */
export type Find = (file: string, position: number, kind: string) => void;

/** Where the files are, and who is told of what is wrong. */
export interface CheckPlace {
  readonly disk: Disk;
  /** That of the segments. */
  readonly logDirectory: string;
  readonly directoryId: Uint8Array | undefined;
  /** A segment whose settled files may not be in place yet. */
  readonly settling?: RaftIndex | undefined;
  readonly find: Find;
}

/** A segment as its store says. */
export interface StoredSegment {
  readonly meta: SegmentMeta;
  readonly index: ActiveIndex;
  readonly scan: Scan;
  /** It is the last one of the log. */
  readonly isLast: boolean;
}

/** Compares an index file with the index built from the store. Returns its number of receipts. */
export function checkIndex(place: CheckPlace, { meta, index, scan, isLast }: StoredSegment): number {
  const { disk, logDirectory, directoryId: id, find } = place;
  const name = indexName(firstOf(meta));
  const path = currentPath(disk, place.settling, meta, `${logDirectory}/${name}`);
  if (!disk.exists(path)) {
    find(name, 0, "missing");
    return 0;
  }
  const file = orUnreadable(place, name, () => heapMapper(disk)(path));
  if (file === undefined) return 0;
  const footer = decodeFooter(file);
  const receipts = footer?.entries ?? Math.max(0, Math.floor((file.bytes - indexHeaderBytes) / entryBytes));
  const body = file.copy(0, Math.min(file.bytes, indexHeaderBytes + entryBytes * receipts));
  const header = decodeIndexHeader(body);
  if (header === undefined || (id !== undefined && toHex(header.directoryId) !== toHex(id))) {
    find(name, 0, "header");
  } else if (header.previousCrc !== meta.before.crc || header.base.index !== firstOf(meta)) {
    find(name, 0, "header");
  }
  const both = Math.min(receipts, index.length);
  const expected = index.bytes(0, both);
  for (let at = 0; at < expected.length; at++) {
    if (expected[at] === body[indexHeaderBytes + at]) continue;
    find(name, indexHeaderBytes + at, "entry");
    break;
  }
  if (!isLast && footer === undefined) find(name, file.bytes, "footer");
  // After damage in the store the footer cannot be checked: the entries are unknown.
  const { lastCrc, entries, storeBytes } = footer ?? {};
  const isOfStore = storeBytes === scan.position || scan.flaw !== undefined;
  const ends = footer === undefined || (lastCrc === scan.end.crc && entries === index.length && isOfStore);
  if (footer !== undefined && !ends && scan.flaw === undefined) {
    find(name, indexHeaderBytes + entryBytes * footer.entries, "footer");
  }
  if (isLast && footer === undefined && scan.flaw === undefined && receipts > index.length) {
    find(storeName(firstOf(meta)), scan.position, "short");
  }
  return receipts;
}

/** Checks the log index of a sealed segment that holds named logs. `first`: the first index of the log. */
export function checkLogIndex(
  place: CheckPlace,
  meta: SegmentMeta,
  stored: { readonly logs: ActiveLogIndex; readonly index: StorePlaces },
  first: RaftIndex,
): void {
  const { disk, logDirectory, directoryId, find } = place;
  const { seal, namedBatches = 0 } = meta;
  const { logs, index } = stored;
  if (directoryId === undefined || seal === undefined) return;
  if (namedBatches === 0 && logs.entries === 0) return;
  const name = logsName(firstOf(meta));
  const path = currentPath(disk, place.settling, meta, `${logDirectory}/${name}`);
  if (namedBatches === logs.entries && !disk.exists(path)) {
    find(name, 0, "missing");
    return;
  }
  const isRight = orUnreadable(place, name, () => {
    const described = { directoryId, first: firstOf(meta), store: seal };
    const found = SealedLogIndex.open(heapMapper(disk)(path), described, logs.entries);
    if (found === undefined || namedBatches !== logs.entries) return false;
    return isSound(found) && sameLogs(found, logs, index, seal.storeBytes, first);
  });
  if (isRight === false) find(name, 0, "entry");
}

function isSound(index: SealedLogIndex): boolean {
  try {
    index.checkAll();
    return true;
  } catch (damage) {
    if (!(damage instanceof DamagedPage)) throw damage;
    return false;
  }
}

/** Opens a file. One that is not a regular file is found. */
export function orUnreadable<T>(
  { find }: Pick<CheckPlace, "find">,
  name: string,
  open: () => T,
): T | undefined {
  try {
    return open();
  } catch (reason) {
    if (!(reason instanceof NotRegularFile)) throw reason;
    find(name, 0, "unreadable");
    return undefined;
  }
}
