/**
 * Reads the batches that nodes send: whole frames, as they are on the disk of the node.
 *
 *   frame := 0x00  length:u32be  RecordBatch         protobuf; header fields in any order, then the records
 *
 * The CRC is checked once, when the frame arrives. Record i of a batch has the offset base_offset + i, and the term and
 * timestamp of the batch.
 */
import { Fault } from "../../fault.ts";
import { delimitedEnd, readU32be, readU32le, readU64le, varintEnd } from "../../lib/bytes.ts";
import { envelopeBytes } from "../../lib/envelope.ts";
import type { BatchSlice, Offset, RaftIndex, RecordParts, Term } from "../../types.ts";
import { decodeRecord } from "../record-codec.ts";

/** Returns the CRC-32 of `bytes[start … end)`. `before` is the CRC of the bytes before it; default 0. */
export type Crc32 = (bytes: Uint8Array, start: number, end: number, before?: number) => number;

/** A record of a log. Key, value and header values are views of the batch. */
export interface LogRecord extends RecordParts {
  readonly offset: Offset;
  readonly term: Term;
  /** When the leader appended it, in milliseconds since 1970. */
  readonly timestampMs: number;
}

const recordTag = 0x0a;

interface Header {
  crcAt: number;
  index: RaftIndex;
  term: Term;
  baseOffset: Offset;
  timestampMs: number;
  count: number;
  logNumber: number;
  recordsAt: number;
  end: number;
}

/**
 * Returns the frame as a slice. `logNumber` is that of the log which was read; 0 is `default`.
 * @throws Fault "corrupt" if it is incomplete, its CRC is wrong, or it is a batch of another log
 */
export function checkBatch(frame: Uint8Array, crc32: Crc32, logNumber = 0): BatchSlice {
  if (frame.length < envelopeBytes || readU32be(frame, 1) !== frame.length - envelopeBytes) {
    throw corrupt("length");
  }
  const { crcAt, baseOffset, count, logNumber: foundLog } = readHeader(frame, 0);
  if (crcAt === 0) throw corrupt("header");
  const found = crc32(frame, crcAt + 4, frame.length, crc32(frame, 0, crcAt));
  if (found !== readU32le(frame, crcAt)) throw corrupt("checksum");
  if (foundLog !== logNumber) throw corrupt("log");
  const nextOffset = baseOffset + count;
  if (!Number.isSafeInteger(nextOffset)) throw corrupt("header");
  return { frames: frame, firstOffset: baseOffset, nextOffset };
}

/**
 * Yields the records of a slice with an offset of at least `from` (default 0).
 * @throws Fault "corrupt" if a record passes the end of its batch
 */
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

/** The Raft index of the first batch of a slice that checkBatch() has returned. */
export const indexOf = ({ frames }: BatchSlice): RaftIndex => readHeader(frames, 0).index;

/** Field number and wire type. One byte, because all field numbers are below 16. */
const tag = {
  crc: 0x15,
  index: 0x21,
  term: 0x29,
  baseOffset: 0x31,
  timestampMs: 0x39,
  count: 0x45,
  log: 0x55,
} as const;

function readHeader(bytes: Uint8Array, frameAt: number): Header {
  const end = Math.min(frameAt + envelopeBytes + readU32be(bytes, frameAt + 1), bytes.length);
  const header: Header = {
    crcAt: 0,
    index: 0,
    term: 0,
    baseOffset: 0,
    timestampMs: 0,
    count: 0,
    logNumber: 0,
    recordsAt: end,
    end,
  };
  let at = frameAt + envelopeBytes;
  while (at < end && bytes[at] !== recordTag) {
    const value = at + 1;
    const next = skipValue(bytes, value, end, bytes[at]! & 7);
    if (next < 0) throw corrupt("header");
    switch (bytes[at]) {
      case tag.crc:
        header.crcAt = value;
        break;
      case tag.index:
        header.index = readU64le(bytes, value);
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
      case tag.log:
        header.logNumber = readU32le(bytes, value);
        break;
      default:
        break; // a field that readers do not use
    }
    at = next;
  }
  header.recordsAt = at;
  return header;
}

/** Returns the position after the value at `at`; −1 if it passes `end`. */
function skipValue(bytes: Uint8Array, at: number, end: number, wireType: number): number {
  let next = -1;
  if (wireType === 0) next = varintEnd(bytes, at, end);
  else if (wireType === 1) next = at + 8;
  else if (wireType === 5) next = at + 4;
  else if (wireType === 2) next = delimitedEnd(bytes, at, end);
  return next > end ? -1 : next;
}

const corrupt = (why: string): Fault =>
  new Fault("corrupt", { message: `a received batch is damaged (${why})`, facts: { why } });
