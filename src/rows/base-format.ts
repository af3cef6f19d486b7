/**
 * The parts of a base file: all rows as of a Raft index, sorted by id. Pure.
 *
 *   file   := header block* index tail                                                          little-endian
 *   header := "TRLROWS1" index:u64 count:u64 value-bytes:u32 value crc:u32      crc of everything before it
 *   block  := rows:u32 bytes:u32 ordinal:u32 crc:u32 row[rows]                  crc of the three numbers and the rows
 *   row    := a change of row-codec.ts that is not a deletion                   ids ascend through the whole file
 *   index  := (first-id:u32 bytes:u32)*                                         one for each block; bytes without its head
 *   tail   := blocks:u32 crc:u32 "TRLROWSE"                                     crc of the index and the number of blocks
 *
 * Every block but the last has at least `blockBytes` of rows, so the index stays small.
 */
import { Fault } from "../fault.ts";
import { readU32le, readU64le, writeU32le, writeU64le } from "../lib/bytes.ts";
import { crc32 } from "../lib/checksum.ts";
import { idMax } from "./row-codec.ts";
import { type RowsHead, valueBytesMax } from "./rows.ts";

export const blockBytes = 64 * 1024;
/** A block ends with the row that makes it full. */
const blockBytesMax = blockBytes + valueBytesMax + 1024;
export const blockHeadBytes = 16;
export const entryBytes = 8;
export const tailBytes = 16;
/** The header before the value. */
export const headerBytes = 28;

const headerMagic = Buffer.from("TRLROWS1", "latin1");
const tailMagic = Buffer.from("TRLROWSE", "latin1");

export interface BlockHead {
  readonly rows: number;
  readonly bytes: number;
}

export function encodeHeader({ index, count, value }: RowsHead): Uint8Array {
  const bytes = new Uint8Array(headerBytes + value.length + 4);
  bytes.set(headerMagic);
  writeU64le(bytes, 8, index);
  writeU64le(bytes, 16, count);
  writeU32le(bytes, 24, value.length);
  bytes.set(value, headerBytes);
  writeU32le(bytes, headerBytes + value.length, crc32(bytes, 0, headerBytes + value.length));
  return bytes;
}

/** Returns the length of the value in a header whose first `headerBytes` are given; undefined if it is not one. */
export function headerValueBytes(start: Uint8Array): number | undefined {
  if (start.length < headerBytes || Buffer.compare(start.subarray(0, 8), headerMagic) !== 0) return undefined;
  const bytes = readU32le(start, 24);
  return bytes <= valueBytesMax ? bytes : undefined;
}

/** Reads a whole header. Returns undefined if it is damaged. */
export function decodeHeader(bytes: Uint8Array): RowsHead | undefined {
  const end = bytes.length - 4;
  if (readU32le(bytes, end) !== crc32(bytes, 0, end)) return undefined;
  const [index, count] = [readU64le(bytes, 8), readU64le(bytes, 16)];
  if (!Number.isSafeInteger(index) || count > idMax) return undefined;
  return { index, count, value: bytes.slice(headerBytes, end) };
}

/** Returns a block with these rows, of which there are `rows`. */
export function encodeBlock(packed: Uint8Array, rows: number, ordinal: number): Uint8Array {
  const block = new Uint8Array(blockHeadBytes + packed.length);
  writeU32le(block, 0, rows);
  writeU32le(block, 4, packed.length);
  writeU32le(block, 8, ordinal);
  block.set(packed, blockHeadBytes);
  writeU32le(block, 12, blockChecksum(block));
  return block;
}

/** Returns the head of a whole block, or undefined if the block is damaged or is not the one of this number. */
export function decodeBlockHead(block: Uint8Array, ordinal: number): BlockHead | undefined {
  const bytes = readU32le(block, 4);
  if (bytes !== block.length - blockHeadBytes || readU32le(block, 8) !== ordinal) return undefined;
  if (readU32le(block, 12) !== blockChecksum(block)) return undefined;
  return { rows: readU32le(block, 0), bytes };
}

const blockChecksum = (block: Uint8Array): number =>
  crc32(block, blockHeadBytes, block.length, crc32(block, 0, 12));

/** Where a block is. `position` is that of its head in the file. */
export interface BlockPlace {
  readonly firstId: number;
  readonly position: number;
  readonly bytes: number;
}

export function encodeEnd(blocks: readonly BlockPlace[]): Uint8Array {
  const tailAt = blocks.length * entryBytes;
  const bytes = new Uint8Array(tailAt + tailBytes);
  for (const [at, { firstId, bytes: length }] of blocks.entries()) {
    writeU32le(bytes, at * entryBytes, firstId);
    writeU32le(bytes, at * entryBytes + 4, length);
  }
  writeU32le(bytes, tailAt, blocks.length);
  writeU32le(bytes, tailAt + 4, crc32(bytes, 0, tailAt + 4));
  bytes.set(tailMagic, tailAt + 8);
  return bytes;
}

/** Returns the number of blocks in a tail, or undefined if it is not one. */
export function tailBlocks(tail: Uint8Array): number | undefined {
  if (tail.length !== tailBytes || Buffer.compare(tail.subarray(8), tailMagic) !== 0) return undefined;
  return readU32le(tail, 0);
}

/**
 * Returns the places of the blocks, which begin at `start` and must end at `end`. `bytes` is the index and the tail. Returns
 * undefined if they are damaged.
 */
export function decodeEnd(bytes: Uint8Array, start: number, end: number): readonly BlockPlace[] | undefined {
  const tailAt = bytes.length - tailBytes;
  if (readU32le(bytes, tailAt + 4) !== crc32(bytes, 0, tailAt + 4)) return undefined;
  const places: BlockPlace[] = [];
  let position = start;
  for (let at = 0; at < tailAt; at += entryBytes) {
    const [firstId, length] = [readU32le(bytes, at), readU32le(bytes, at + 4)];
    const isLast = at + entryBytes === tailAt;
    if (length > blockBytesMax || (!isLast && length < blockBytes)) return undefined;
    if (firstId <= (places.at(-1)?.firstId ?? -1)) return undefined;
    places.push({ firstId, position, bytes: length });
    position += blockHeadBytes + length;
  }
  return position === end ? places : undefined;
}

/** `why`: "header", "index", "block", "order", "count". */
export function damagedBase(file: string, why: string, position = 0): Fault {
  return new Fault("corrupt", {
    message: `${file} is damaged at byte ${position} (${why}), it is not as it was written`,
    facts: { file, position, why },
  });
}
