/**
 * Reads the batches that nodes send: whole frames, as they lie on a node's disk. Pure.
 *
 *   frame := 0x00  length:u32be  RecordBatch         protobuf; header fields first, then the records
 *
 * Checked once when it arrives; record i of a batch has offset base_offset + i, and the batch's term and timestamp.
 *
 * Never: relies on where a header field stands, only on its number.
 */
import { Fault } from "../../fault.ts";
import { delimitedEnd, readU32be, readU32le, readU64le, varintEnd } from "../../lib/bytes.ts";
import { envelopeBytes } from "../../lib/envelope.ts";
import type { BatchSlice, Offset, Term } from "../../types.ts";
import { decodeRecord, type RecordParts } from "../record-codec.ts";

/** `crc32` of `bytes[start … end)`, going on from `before`. Node has a faster one than a browser. */
export type Crc32 = (bytes: Uint8Array, start: number, end: number, before?: number) => number;

/** A record as a reader gets it. Key, value and header values are views of the batch. */
export interface LogRecord extends RecordParts {
  readonly offset: Offset;
  readonly term: Term;
  /** The leader's clock at append, milliseconds since 1970. */
  readonly timestampMs: number;
}

const recordTag = 0x0a;

interface Header {
  crcAt: number;
  term: Term;
  baseOffset: Offset;
  timestampMs: number;
  count: number;
  recordsAt: number;
  end: number;
}

/** The frame as a slice of one. Throws Fault "corrupt" when it is not whole or its CRC is not right. */
export function checkBatch(frame: Uint8Array, crc32: Crc32): BatchSlice {
  if (frame.length < envelopeBytes || readU32be(frame, 1) !== frame.length - envelopeBytes) {
    throw corrupt("length");
  }
  const { crcAt, baseOffset, count } = readHeader(frame, 0);
  if (crcAt === 0) throw corrupt("header");
  const found = crc32(frame, crcAt + 4, frame.length, crc32(frame, 0, crcAt));
  if (found !== readU32le(frame, crcAt)) throw corrupt("checksum");
  const nextOffset = baseOffset + count;
  if (!Number.isSafeInteger(nextOffset)) throw corrupt("header");
  return { frames: frame, firstOffset: baseOffset, nextOffset };
}

/** The records of a slice, from `from` on. Throws Fault "corrupt" where a record passes the end of its batch. */
export function* recordsOf(slice: BatchSlice, from: Offset = 0): Generator<LogRecord, void, undefined> {
  const { frames } = slice;
  for (let frameAt = 0; frameAt < frames.length; ) {
    const { term, timestampMs, baseOffset, count, recordsAt, end } = readHeader(frames, frameAt);
    frameAt = end;
    if (baseOffset + count <= from) continue;
    let offset = baseOffset;
    for (let at = recordsAt; at < end; offset++) {
      const body = varintEnd(frames, at + 1, end);
      const next = delimitedEnd(frames, at + 1, end);
      if (next < 0 || frames[at] !== recordTag) throw corrupt("records");
      at = next;
      if (offset < from) continue;
      const { value, key, headers } = decodeRecord(frames, body, at);
      yield { offset, term, timestampMs, key, value, headers };
    }
  }
}

/** Field number and wire type, in one byte since all numbers are below 16. */
const tag = { crc: 0x15, term: 0x29, baseOffset: 0x31, timestampMs: 0x39, count: 0x45 } as const;

function readHeader(bytes: Uint8Array, frameAt: number): Header {
  const end = Math.min(frameAt + envelopeBytes + readU32be(bytes, frameAt + 1), bytes.length);
  const header: Header = { crcAt: 0, term: 0, baseOffset: 0, timestampMs: 0, count: 0, recordsAt: end, end };
  let at = frameAt + envelopeBytes;
  while (at < end && bytes[at] !== recordTag) {
    const value = at + 1;
    const next = skipValue(bytes, value, end, bytes[at]! & 7);
    if (next < 0) throw corrupt("header");
    switch (bytes[at]) {
      case tag.crc:
        header.crcAt = value;
        break;
      case tag.term:
        header.term = readU64le(bytes, value);
        break;
      case tag.baseOffset:
        header.baseOffset = readU64le(bytes, value);
        break;
      case tag.timestampMs:
        header.timestampMs = readU64le(bytes, value);
        break;
      case tag.count:
        header.count = readU32le(bytes, value);
        break;
      default:
        break; // a field that readers have no use for
    }
    at = next;
  }
  header.recordsAt = at;
  return header;
}

/** Behind the value at `at`, or −1 when it does not end before `end`. */
function skipValue(bytes: Uint8Array, at: number, end: number, wireType: number): number {
  let next = -1;
  if (wireType === 0) next = varintEnd(bytes, at, end);
  else if (wireType === 1) next = at + 8;
  else if (wireType === 5) next = at + 4;
  else if (wireType === 2) next = delimitedEnd(bytes, at, end);
  return next > end ? -1 : next;
}

const corrupt = (why: string): Fault =>
  new Fault("corrupt", { message: `a batch arrived damaged (${why})`, facts: { why } });
