/**
 * The write-ahead log of SQLite, read without SQLite (https://sqlite.org/fileformat2.html, section 4). Pure.
 *
 *   wal    := header frame*                                                                       big-endian
 *   header := magic:u32 version:u32 page-bytes:u32 checkpoint:u32 salt:u64 checksum:u64           32 bytes
 *   frame  := page:u32 pages-after-commit:u32 salt:u64 checksum:u64 bytes[page-bytes]             24 bytes and a page
 *
 * A checksum continues that of the previous frame. Frames with another salt are from an earlier use of the file and are
 * already in the database. Each transaction is synced before the next one begins, so a crash can tear only one. A bad frame
 * with a good one after the next commit is damage. A lost last transaction looks like a torn one here, so the caller
 * compares the sequence in the database with the receipt.
 */
import { readU32be } from "../lib/bytes.ts";

const headerBytes = 32;
const frameHeaderBytes = 24;
const magic = 0x377f0682;
/** A piece of findWalDamage() has about 1 MiB. */
const framesAtOnce = 256;

/** The changes in a write-ahead log. */
export interface WalContents {
  /** Pages of committed transactions, the last of each number: page number → position of its bytes in the log. */
  readonly pages: ReadonlyMap<number, number>;
  /** Pages of the database after the last commit; 0 without one. */
  readonly databasePages: number;
  /** Position of a frame that is damaged rather than torn by a crash. */
  readonly damagedAt: number | undefined;
}

const nothing: WalContents = { pages: new Map(), databasePages: 0, damagedAt: undefined };

/** Reads the log of a database with this page size. A log without a valid header is empty, as in SQLite. */
export function readWal(wal: Uint8Array, pageBytes: number): WalContents {
  if (wal.length < headerBytes || (readU32be(wal, 0) & ~1) >>> 0 !== magic) return nothing;
  const bigEndian = (wal[3]! & 1) === 1;
  const start = checksum(wal, 0, 24, bigEndian, [0, 0]);
  if (!isChecksum(wal, 24, start) || readU32be(wal, 8) !== pageBytes) return nothing;
  const frames = framesOf(wal, pageBytes);
  const pages = new Map<number, number>();
  let transaction: (readonly [page: number, at: number])[] = [];
  let databasePages = 0;
  let sum = start;
  for (const [ordinal, at] of frames.entries()) {
    const next = frameChecksum(wal, at, pageBytes, bigEndian, sum);
    if (!hasSalt(wal, at) || !isChecksum(wal, at + 16, next)) {
      const damaged = goesOn(wal, frames.slice(ordinal), pageBytes, bigEndian);
      return { pages, databasePages, damagedAt: damaged ? at : undefined };
    }
    sum = next;
    transaction.push([readU32be(wal, at), at + frameHeaderBytes]);
    if (readU32be(wal, at + 4) === 0) continue;
    for (const [page, position] of transaction) pages.set(page, position);
    databasePages = readU32be(wal, at + 4);
    transaction = [];
  }
  return { pages, databasePages, damagedAt: undefined };
}

/**
 * Returns the position of a damaged frame in a log of any length, as readWal() does. `read` fills `target` from a position of the
 * log on, and returns how many bytes there were; fewer at its end. Memory: 1 MiB.
 */
export function findWalDamage(
  read: (target: Uint8Array, position: number) => number,
  pageBytes: number,
): number | undefined {
  const frameBytes = frameHeaderBytes + pageBytes;
  // The header comes before each piece, where hasSalt() looks for it.
  const piece = new Uint8Array(headerBytes + framesAtOnce * frameBytes);
  const frames = piece.subarray(headerBytes);
  if (read(piece.subarray(0, headerBytes), 0) < headerBytes) return undefined;
  if ((readU32be(piece, 0) & ~1) >>> 0 !== magic) return undefined;
  const bigEndian = (piece[3]! & 1) === 1;
  let sum = checksum(piece, 0, 24, bigEndian, [0, 0]);
  if (!isChecksum(piece, 24, sum) || readU32be(piece, 8) !== pageBytes) return undefined;
  let [damagedAt, isCommitted]: [number | undefined, boolean] = [undefined, false];
  for (let position = headerBytes; ; position += frames.length) {
    const end = headerBytes + Math.floor(read(frames, position) / frameBytes) * frameBytes;
    if (end === headerBytes) return undefined;
    for (let at = headerBytes; at < end; at += frameBytes) {
      const next = hasSalt(piece, at) ? frameChecksum(piece, at, pageBytes, bigEndian, sum) : undefined;
      if (next === undefined || !isChecksum(piece, at + 16, next)) damagedAt ??= position + at - headerBytes;
      else if (damagedAt !== undefined) {
        if (isCommitted) return damagedAt;
        isCommitted = readU32be(piece, at + 4) !== 0;
      }
      sum = [readU32be(piece, at + 16), readU32be(piece, at + 20)];
    }
  }
}

/** Returns the database with its log applied, as SQLite would see it. */
export function imageOf(
  database: Uint8Array,
  wal: Uint8Array,
  contents: WalContents,
  pageBytes: number,
): Uint8Array {
  if (contents.databasePages === 0) return database.slice();
  const image = new Uint8Array(contents.databasePages * pageBytes);
  image.set(database.subarray(0, image.length));
  for (const [page, at] of contents.pages) {
    if (page > contents.databasePages) continue;
    image.set(wal.subarray(at, at + pageBytes), (page - 1) * pageBytes);
  }
  return image;
}

/**
 * Returns true if there is a good frame after the first good commit. The first of these frames is bad. A frame is good if it
 * continues the checksum in the previous frame.
 */
function goesOn(wal: Uint8Array, frames: readonly number[], pageBytes: number, bigEndian: boolean): boolean {
  let committed = false;
  for (const [ordinal, at] of frames.entries()) {
    const before = frames[ordinal - 1];
    if (before === undefined || !hasSalt(wal, at)) continue;
    const seed = [readU32be(wal, before + 16), readU32be(wal, before + 20)] as const;
    if (!isChecksum(wal, at + 16, frameChecksum(wal, at, pageBytes, bigEndian, seed))) continue;
    if (committed) return true;
    committed = readU32be(wal, at + 4) !== 0;
  }
  return false;
}

function framesOf(wal: Uint8Array, pageBytes: number): number[] {
  const bytes = frameHeaderBytes + pageBytes;
  const count = Math.floor((wal.length - headerBytes) / bytes);
  return Array.from({ length: count }, (_, k) => headerBytes + k * bytes);
}

const hasSalt = (wal: Uint8Array, at: number): boolean =>
  readU32be(wal, at + 8) === readU32be(wal, 16) && readU32be(wal, at + 12) === readU32be(wal, 20);

type Sum = readonly [number, number];

const isChecksum = (wal: Uint8Array, at: number, [first, second]: Sum): boolean =>
  readU32be(wal, at) === first && readU32be(wal, at + 4) === second;

function frameChecksum(wal: Uint8Array, at: number, pageBytes: number, bigEndian: boolean, seed: Sum): Sum {
  const head = checksum(wal, at, 8, bigEndian, seed);
  return checksum(wal, at + frameHeaderBytes, pageBytes, bigEndian, head);
}

/** Whether this machine stores numbers as the checksums of a little-endian log need them. */
const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

function checksum(bytes: Uint8Array, from: number, count: number, bigEndian: boolean, seed: Sum): Sum {
  const start = bytes.byteOffset + from;
  if (bigEndian === isLittleEndian || start % 4 !== 0)
    return checksumOfView(bytes, from, count, bigEndian, seed);
  const words = new Uint32Array(bytes.buffer, start, count / 4);
  let [first, second] = [seed[0] | 0, seed[1] | 0];
  for (let at = 0; at < words.length; at += 2) {
    first = (first + words[at]! + second) | 0;
    second = (second + words[at + 1]! + first) | 0;
  }
  return [first >>> 0, second >>> 0];
}

/** Does the same for any byte order and any position, at a fifth of the speed. */
function checksumOfView(bytes: Uint8Array, from: number, count: number, bigEndian: boolean, seed: Sum): Sum {
  const view = new DataView(bytes.buffer, bytes.byteOffset + from, count);
  let [first, second] = seed;
  for (let at = 0; at < count; at += 8) {
    first = (first + view.getUint32(at, !bigEndian) + second) >>> 0;
    second = (second + view.getUint32(at + 4, !bigEndian) + first) >>> 0;
  }
  return [first, second];
}
