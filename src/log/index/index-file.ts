/**
 * The format of an index file, and the index of a sealed segment over a mapping of it. Pure.
 *
 *   file   := header entry* [footer]                               all little-endian
 *   header := "TRLINDEX" version:u32 0:u32 directory:16 bytes base-index:u64 base-offset:u64 base-timestamp:u64
 *             previous-crc:u32 crc:u32                             64 bytes; crc covers the 60 before it
 *   footer := page-crc:u32* "TRLSEALD" entries:u32 pages:u32 next-offset:u64 last-timestamp:u64 store-bytes:u64
 *             last-crc:u32 last-term:u32 0:u32 crc:u32             page k covers bytes 4096k … of header and entries
 */
import { assert } from "../../lib/assert.ts";
import { readU32le, readU64le, writeU32le, writeU64le } from "../../lib/bytes.ts";
import { crc32 } from "../../lib/checksum.ts";
import type { MappedFile } from "../../lib/disk/mapped-file.ts";
import type { Offset, Term } from "../../types.ts";
import { entryBytes, type IndexBase, type OffsetIndex } from "./offset-index.ts";

export const indexHeaderBytes = 64;
export const indexVersion = 1;
const pageBytes = 4096;
const trailerBytes = 56;
const headerMagic = Buffer.from("TRLINDEX");
const trailerMagic = Buffer.from("TRLSEALD");

export interface IndexHeader {
  readonly version: number;
  readonly directoryId: Uint8Array;
  readonly base: IndexBase;
  /** The checksum of the batch before the segment. */
  readonly previousCrc: number;
}

/** The facts of a sealed segment, in its index file and in the catalog. */
export interface SealFacts {
  readonly entries: number;
  readonly nextOffset: Offset;
  readonly lastTimestampMs: number;
  readonly storeBytes: number;
  readonly lastCrc: number;
  readonly lastTerm: Term;
}

export function encodeIndexHeader(header: IndexHeader): Uint8Array {
  assert(header.directoryId.length === 16, "a directory id has 16 bytes");
  const bytes = new Uint8Array(indexHeaderBytes);
  bytes.set(headerMagic);
  writeU32le(bytes, 8, header.version);
  bytes.set(header.directoryId, 16);
  writeU64le(bytes, 32, header.base.index);
  writeU64le(bytes, 40, header.base.offset);
  writeU64le(bytes, 48, header.base.timestampMs);
  writeU32le(bytes, 56, header.previousCrc);
  writeU32le(bytes, 60, crc32(bytes, 0, 60));
  return bytes;
}

/** Returns the header, or undefined if the bytes are not a sound one. */
export function decodeIndexHeader(bytes: Uint8Array): IndexHeader | undefined {
  if (bytes.length < indexHeaderBytes || headerMagic.compare(bytes, 0, 8) !== 0) return undefined;
  if (readU32le(bytes, 60) !== crc32(bytes, 0, 60)) return undefined;
  return {
    version: readU32le(bytes, 8),
    directoryId: bytes.slice(16, 32),
    base: { index: readU64le(bytes, 32), offset: readU64le(bytes, 40), timestampMs: readU64le(bytes, 48) },
    previousCrc: readU32le(bytes, 56),
  };
}

/** Returns the footer that follows `body`, the header and all entries. */
export function encodeFooter(body: Uint8Array, facts: SealFacts): Uint8Array {
  const pages = Math.ceil(body.length / pageBytes);
  const bytes = new Uint8Array(4 * pages + trailerBytes);
  for (let page = 0; page < pages; page++) {
    writeU32le(bytes, 4 * page, crc32(body, page * pageBytes, Math.min(body.length, (page + 1) * pageBytes)));
  }
  const at = 4 * pages;
  bytes.set(trailerMagic, at);
  writeU32le(bytes, at + 8, facts.entries);
  writeU32le(bytes, at + 12, pages);
  writeU64le(bytes, at + 16, facts.nextOffset);
  writeU64le(bytes, at + 24, facts.lastTimestampMs);
  writeU64le(bytes, at + 32, facts.storeBytes);
  writeU32le(bytes, at + 40, facts.lastCrc);
  writeU32le(bytes, at + 44, facts.lastTerm);
  writeU32le(bytes, at + 52, crc32(bytes, 0, at + 52));
  return bytes;
}

/** Returns the facts in the footer, or undefined if the file does not end in a sound footer. */
export function decodeFooter(file: MappedFile): SealFacts | undefined {
  const at = file.bytes - trailerBytes;
  if (at < indexHeaderBytes) return undefined;
  const trailer = file.copy(at, file.bytes);
  if (trailerMagic.compare(trailer, 0, 8) !== 0) return undefined;
  const entries = readU32le(trailer, 8);
  const pages = readU32le(trailer, 12);
  const body = indexHeaderBytes + entryBytes * entries;
  if (pages !== Math.ceil(body / pageBytes) || body + 4 * pages !== at) return undefined;
  if (file.crc32(body, file.bytes - 4) !== readU32le(trailer, 52)) return undefined;
  return {
    entries,
    nextOffset: readU64le(trailer, 16),
    lastTimestampMs: readU64le(trailer, 24),
    storeBytes: readU64le(trailer, 32),
    lastCrc: readU32le(trailer, 40),
    lastTerm: readU32le(trailer, 44),
  };
}

/** Thrown by a lookup that reads a damaged page of a sealed index. The segment rebuilds the index then. */
export class DamagedPage extends Error {
  override readonly name = "DamagedPage";
}

/** The index of a sealed segment over a mapping. The CRC of a page is checked when the page is first read. */
export class SealedIndex implements OffsetIndex {
  readonly base: IndexBase;
  readonly length: number;
  readonly #file: MappedFile;
  readonly #checked: Uint8Array;

  constructor(file: MappedFile, base: IndexBase, entries: number) {
    this.base = base;
    this.length = entries;
    this.#file = file;
    this.#checked = new Uint8Array(Math.ceil((indexHeaderBytes + entryBytes * entries) / pageBytes));
  }

  offset(k: number): Offset {
    return this.base.offset + this.#word(k, 0);
  }

  position(k: number): number {
    return this.#word(k, 4);
  }

  term(k: number): Term {
    return this.#word(k, 8);
  }

  timestampMs(k: number): number {
    return this.base.timestampMs + this.#word(k, 12);
  }

  /** Checks every page now. */
  checkAll(): void {
    for (let page = 0; page < this.#checked.length; page++) this.#check(page);
  }

  #word(k: number, field: number): number {
    assert(k >= 0 && k < this.length, "no such entry");
    const at = indexHeaderBytes + entryBytes * k;
    const page = Math.floor(at / pageBytes);
    if (this.#checked[page] === 0) this.#check(page);
    return this.#file.u32(at + field);
  }

  #check(page: number): void {
    const body = indexHeaderBytes + entryBytes * this.length;
    const end = Math.min(body, (page + 1) * pageBytes);
    if (this.#file.crc32(page * pageBytes, end) !== this.#file.u32(body + 4 * page)) throw new DamagedPage();
    this.#checked[page] = 1;
  }
}
