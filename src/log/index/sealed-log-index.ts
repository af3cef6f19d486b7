/**
 * The file of a log index, and the log index of a sealed segment over a mapping of it. Pure.
 *
 *   file   := header page-crc:u32* log* batch*                                       all little-endian
 *   header := "TRLNAMED" version:u32 logs:u32 entries:u32 pages:u32 directory:16 bytes first-index:u64 store-bytes:u64
 *             last-crc:u32 crc:u32             64 bytes; crc covers the 60 before it and the page-crcs
 *   log    := id:u32 start:u32 count:u32 0:u32 previous:u64                          24 bytes, sorted by id
 *   batch  := ordinal:u32 position:u32 bytes:u32 offset:u64                          20 bytes
 *
 * The batches of one log follow each other from its `start` on. An ordinal is that of the batch in the segment, a position that in
 * the store. `previous` is the Raft index of the log's last batch before the segment, so a reader goes back from one segment that
 * holds the log to the one before. page-crc k covers bytes 4096k … of logs and batches. So a read of one log reads the pages that
 * are about it, and neither those of other logs nor the offset index.
 *
 * Version 1 is read, but not written any more. It has no positions, and one checksum:
 *
 *   file   := header log* ordinal:u32* offset:u64* crc:u32        header := "TRLNAMED" 1:u32 logs:u32 entries:u32 0:u32
 *                                                                 directory:16 bytes first-index:u64           48 bytes
 */
import { assert } from "../../lib/assert.ts";
import { readU32le, readU64le, writeU32le, writeU64le } from "../../lib/bytes.ts";
import { crc32 } from "../../lib/checksum.ts";
import type { MappedFile } from "../../lib/disk/mapped-file.ts";
import { atOnce } from "../../lib/time/in-slices.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import { DamagedPage, type SealFacts } from "./index-file.ts";
import { type ActiveLogIndex, type BatchExtent, extentIn, type LogBatches } from "./log-index.ts";
import type { OffsetIndex } from "./offset-index.ts";

const magic = Buffer.from("TRLNAMED");
const [version, versionWithoutPlaces] = [2, 1];
const [headerBytes, oldHeaderBytes] = [64, 48];
const crcAt = headerBytes - 4;
const logBytes = 24;
const [batchBytes, oldBatchBytes] = [20, 12];
const pageBytes = 4096;
/** Encoded in one step: batches, and pages that get their checksum. */
const [entriesOfStep, pagesOfStep] = [4_096, 256];

/** What a log index says of its segment. */
export interface LoggedSegment {
  readonly directoryId: Uint8Array;
  readonly first: RaftIndex;
  readonly store: Pick<SealFacts, "storeBytes" | "lastCrc">;
}

/** Where the batches of a store begin. */
export type StorePlaces = Pick<OffsetIndex, "length" | "position">;

/** Returns the file of a log index. `places` has the batches of the whole segment. */
export const encodeLogIndex = (
  index: ActiveLogIndex,
  segment: LoggedSegment,
  places: StorePlaces,
): Uint8Array => atOnce(logIndexSteps(index, segment, places));

/** Does the same in steps of about 1 ms. The index must not change meanwhile. */
export function* logIndexSteps(
  index: ActiveLogIndex,
  { directoryId, first, store }: LoggedSegment,
  places: StorePlaces,
): Generator<void, Uint8Array> {
  const logs = index.idsAfter(-1);
  yield;
  const bodyBytes = logBytes * logs.length + batchBytes * index.entries;
  const pages = Math.ceil(bodyBytes / pageBytes);
  const bytes = new Uint8Array(headerBytes + 4 * pages + bodyBytes);
  bytes.set(magic);
  writeU32le(bytes, 8, version);
  writeU32le(bytes, 12, logs.length);
  writeU32le(bytes, 16, index.entries);
  writeU32le(bytes, 20, pages);
  bytes.set(directoryId, 24);
  writeU64le(bytes, 40, first);
  writeU64le(bytes, 48, store.storeBytes);
  writeU32le(bytes, 56, store.lastCrc);
  const body = headerBytes + 4 * pages;
  let [start, at, batchAt, untilPause] = [0, body, body + logBytes * logs.length, entriesOfStep];
  for (const id of logs) {
    const log = index.find(id)!;
    const { length } = log;
    writeU32le(bytes, at, id);
    writeU32le(bytes, at + 4, start);
    writeU32le(bytes, at + 8, length);
    writeU64le(bytes, at + 16, log.previous);
    at += logBytes;
    for (let i = 0; i < length; i++) {
      const ordinal = log.ordinal(i);
      const extent = extentIn(places, ordinal, store.storeBytes);
      writeU32le(bytes, batchAt, ordinal);
      writeU32le(bytes, batchAt + 4, extent.position);
      writeU32le(bytes, batchAt + 8, extent.bytes);
      writeU64le(bytes, batchAt + 12, log.offset(i));
      batchAt += batchBytes;
      if (--untilPause > 0) continue;
      untilPause = entriesOfStep;
      yield;
    }
    start += length;
  }
  for (let page = 0; page < pages; page++) {
    const from = body + page * pageBytes;
    writeU32le(bytes, headerBytes + 4 * page, crc32(bytes, from, Math.min(bytes.length, from + pageBytes)));
    if (page % pagesOfStep === pagesOfStep - 1) yield;
  }
  writeU32le(bytes, crcAt, headerCrc(bytes, body));
  return bytes;
}

/** Of the header and the page-crcs, which end at `body`. */
const headerCrc = (bytes: Uint8Array, body: number): number =>
  crc32(bytes, headerBytes, body, crc32(bytes, 0, crcAt));

/** What differs between the two versions. */
interface Layout {
  /** Where the logs begin. */
  readonly body: number;
  /** Pages of the body whose checksum was compared; undefined if the whole file was checked when it was opened. */
  readonly checked: Uint8Array | undefined;
}

export class SealedLogIndex {
  readonly #file: MappedFile;
  readonly #logs: number;
  readonly #entries: number;
  readonly #body: number;
  readonly #checked: Uint8Array | undefined;

  private constructor(file: MappedFile, logs: number, entries: number, { body, checked }: Layout) {
    this.#file = file;
    this.#logs = logs;
    this.#entries = entries;
    this.#body = body;
    this.#checked = checked;
  }

  /** Returns undefined unless the file is of this store with so many batches of named logs, and its head is sound. */
  static open(file: MappedFile, segment: LoggedSegment, entries: number): SealedLogIndex | undefined {
    if (file.bytes < oldHeaderBytes + 4) return undefined;
    const header = file.copy(0, Math.min(headerBytes, file.bytes));
    const logs = readU32le(header, 12);
    const isOurs =
      magic.compare(header, 0, 8) === 0 &&
      readU32le(header, 16) === entries &&
      Buffer.compare(header.subarray(24, 40), segment.directoryId) === 0 &&
      readU64le(header, 40) === segment.first;
    if (!isOurs) return undefined;
    const found = readU32le(header, 8);
    const layout = found === version ? layoutOf(file, header, segment, logs, entries) : undefined;
    const old = found === versionWithoutPlaces ? oldLayoutOf(file, logs, entries) : undefined;
    const any = layout ?? old;
    return any === undefined ? undefined : new SealedLogIndex(file, logs, entries, any);
  }

  /** @throws DamagedPage, as all of the others */
  checkAll(): void {
    this.#check(0, this.#file.bytes - this.#body);
  }

  ids(): LogId[] {
    return this.idsAfter(-1, this.#logs);
  }

  /** At most `max` ids after this one, in order. */
  idsAfter(id: LogId, max: number): LogId[] {
    const ids: LogId[] = [];
    const first = this.#firstAfter(id);
    const last = Math.min(this.#logs, first + max);
    for (let k = first; k < last; k++) ids.push(this.#id(k));
    return ids;
  }

  /** What is about the log is checked now: what is returned does not throw. */
  find(id: LogId): LogBatches | undefined {
    const k = this.#firstAfter(id) - 1;
    if (k < 0 || this.#id(k) !== id) return undefined;
    const file = this.#file;
    const at = this.#body + logBytes * k;
    const [start, length] = [file.u32(at + 4), file.u32(at + 8)];
    const u64 = (position: number): number => file.u32(position) + 2 ** 32 * file.u32(position + 4);
    const previous = u64(at + 16);
    const batchesAt = this.#body + logBytes * this.#logs;
    const check = (i: number): number => {
      assert(i >= 0 && i < length, "no such batch of the log");
      return start + i;
    };
    if (this.#checked === undefined) {
      const offsetsAt = batchesAt + 4 * this.#entries;
      return {
        ...{ length, previous },
        ordinal: (i) => file.u32(batchesAt + 4 * check(i)),
        offset: (i) => u64(offsetsAt + 8 * check(i)),
      };
    }
    const placeOf = (i: number): number => batchesAt + batchBytes * check(i);
    const from = logBytes * this.#logs + batchBytes * start;
    this.#check(from, from + batchBytes * length);
    return {
      ...{ length, previous, share: (this.#body + from) / file.bytes },
      ordinal: (i) => file.u32(placeOf(i)),
      offset: (i) => u64(placeOf(i) + 12),
      extent: (i): BatchExtent => ({ position: file.u32(placeOf(i) + 4), bytes: file.u32(placeOf(i) + 8) }),
    };
  }

  #id(k: number): LogId {
    this.#check(logBytes * k, logBytes * (k + 1));
    return this.#file.u32(this.#body + logBytes * k);
  }

  /** The first of the logs with a higher id, or their number. */
  #firstAfter(id: LogId): number {
    let [low, high] = [0, this.#logs];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#id(middle) <= id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Checks the pages of these bytes of the body that were not checked yet. */
  #check(from: number, to: number): void {
    const checked = this.#checked;
    if (checked === undefined) return;
    for (let page = Math.floor(from / pageBytes); page * pageBytes < to; page++) {
      if (checked[page] === 1) continue;
      const start = this.#body + page * pageBytes;
      const crc = this.#file.crc32(start, Math.min(this.#file.bytes, start + pageBytes));
      if (crc !== this.#file.u32(headerBytes + 4 * page)) throw new DamagedPage();
      checked[page] = 1;
    }
  }
}

/** Undefined if the file is not whole, or of another store: before or after the segment was settled, batches are elsewhere. */
function layoutOf(
  file: MappedFile,
  header: Uint8Array,
  { store }: LoggedSegment,
  logs: number,
  entries: number,
): Layout | undefined {
  if (header.length < headerBytes) return undefined;
  const pages = readU32le(header, 20);
  const bodyBytes = logBytes * logs + batchBytes * entries;
  const body = headerBytes + 4 * pages;
  if (pages !== Math.ceil(bodyBytes / pageBytes) || file.bytes !== body + bodyBytes) return undefined;
  if (headerCrc(file.copy(0, body), body) !== readU32le(header, crcAt)) return undefined;
  const isOfStore = readU64le(header, 48) === store.storeBytes && readU32le(header, 56) === store.lastCrc;
  return isOfStore ? { body, checked: new Uint8Array(pages) } : undefined;
}

function oldLayoutOf(file: MappedFile, logs: number, entries: number): Layout | undefined {
  const bodyBytes = logBytes * logs + oldBatchBytes * entries;
  if (file.bytes !== oldHeaderBytes + bodyBytes + 4) return undefined;
  if (file.crc32(0, file.bytes - 4) !== file.u32(file.bytes - 4)) return undefined;
  return { body: oldHeaderBytes, checked: undefined };
}

/**
 * Returns true if a log index says of each log what `expected` and `places` say. The link to the batch before the segment may differ
 * if both lead below `first`, where the log begins: there is nothing to find.
 * @throws DamagedPage
 */
export function sameLogs(
  found: SealedLogIndex,
  expected: ActiveLogIndex,
  places: StorePlaces,
  storeBytes: number,
  first: RaftIndex,
): boolean {
  const ids = found.ids();
  if (ids.length !== [...expected.ids()].length) return false;
  const isAt = (batches: LogBatches, i: number, ordinal: number): boolean => {
    const [at, to] = [batches.extent?.(i), extentIn(places, ordinal, storeBytes)];
    return at === undefined || (at.position === to.position && at.bytes === to.bytes);
  };
  return ids.every((id) => {
    const [one, other] = [found.find(id), expected.find(id)];
    if (one === undefined || other === undefined || one.length !== other.length) return false;
    if (one.previous !== other.previous && Math.max(one.previous, other.previous) >= first) return false;
    for (let i = 0; i < one.length; i++) {
      const ordinal: number = other.ordinal(i);
      const offset: Offset = other.offset(i);
      if (one.ordinal(i) !== ordinal || one.offset(i) !== offset || !isAt(one, i, ordinal)) return false;
    }
    return true;
  });
}
