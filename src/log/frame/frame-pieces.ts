/**
 * A checked data frame in pieces of some KiB, so that one record is read without the others of its batch. A piece is whole
 * records, and has a checksum of its own: the checksum of the frame covers all of it.
 *
 *   piece := start:u32 first:u32 crc:u32        where it begins in the frame, its first record, the CRC of its bytes
 */
import { crc32 } from "../../lib/checksum.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import {
  type BatchHeader,
  frameHeader,
  frameNextOffset,
  framePayload,
  headerBytes,
  sealFrame,
  writeDraft,
} from "./frame.ts";
import { RecordCursor } from "./record.ts";

/** A piece ends with the record that makes it so large. */
const pieceBytesMin = 4 * 1024;
const [startAt, firstAt, crcAt, fieldsEach] = [0, 1, 2, 3];
/** About what the object and its header take in memory. */
const objectBytes = 320;

/** Records that follow each other in a frame. */
export interface Piece {
  /** From the start of the frame. */
  readonly start: number;
  readonly bytes: number;
  /** The offset of its first record. */
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  readonly crc: number;
}

/** Memory for a piece: what comes before its records in a frame, and the records. */
export const pieceBuffer = (piece: Piece): Buffer => Buffer.allocUnsafe(headerBytes + piece.bytes);
/** The records in that memory. */
export const pieceRecords = (buffer: Uint8Array): Uint8Array => buffer.subarray(headerBytes);

export class FramePieces {
  readonly header: BatchHeader;
  /** The size of the frame. */
  readonly frameBytes: number;
  readonly #pieces: Uint32Array;

  /** `frame` is one data frame with records, which was checked. It is not kept. */
  constructor(frame: Uint8Array) {
    this.header = frameHeader(frame, 0);
    this.frameBytes = frame.length;
    const pieces: number[] = [];
    const cursor = new RecordCursor(frame);
    let start = framePayload(frame, 0);
    for (let [first, next] = [0, 1]; cursor.next(); next++) {
      if (cursor.end - start < pieceBytesMin && cursor.end < frame.length) continue;
      pieces.push(start, first, crc32(frame, start, cursor.end));
      start = cursor.end;
      first = next;
    }
    this.#pieces = Uint32Array.from(pieces);
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return objectBytes + this.#pieces.byteLength;
  }

  /** The piece that holds the record at `offset`; undefined if the frame does not. */
  find(offset: Offset): Piece | undefined {
    const { baseOffset, recordCount } = this.header;
    const ordinal = offset - baseOffset;
    if (ordinal < 0 || ordinal >= recordCount) return undefined;
    const pieces = this.#pieces;
    const count = pieces.length / fieldsEach;
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pieces[middle * fieldsEach + firstAt]! <= ordinal) low = middle + 1;
      else high = middle;
    }
    const at = (low - 1) * fieldsEach;
    const isLast = low === count;
    const start = pieces[at + startAt]!;
    return {
      start,
      bytes: (isLast ? this.frameBytes : pieces[at + fieldsEach + startAt]!) - start,
      firstOffset: baseOffset + pieces[at + firstAt]!,
      nextOffset: baseOffset + (isLast ? recordCount : pieces[at + fieldsEach + firstAt]!),
      crc: pieces[at + crcAt]!,
    };
  }

  /**
   * Makes a frame of its own of a piece, whose records are in `buffer`, a pieceBuffer(). It has the header of the frame, and no
   * producer. Undefined if the records are not those of the frame.
   */
  slice(piece: Piece, buffer: Uint8Array): BatchSlice | undefined {
    if (crc32(buffer, headerBytes, headerBytes + piece.bytes) !== piece.crc) return undefined;
    const { firstOffset: baseOffset, nextOffset } = piece;
    const content = { ...this.header, baseOffset, recordCount: nextOffset - baseOffset };
    writeDraft(buffer, 0, buffer.length, content);
    sealFrame(buffer, 0, buffer.length, content, 0);
    return { frames: buffer, firstOffset: baseOffset, nextOffset: frameNextOffset(buffer, 0) };
  }
}
