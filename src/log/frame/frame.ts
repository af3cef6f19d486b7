/**
 * Encodes and decodes a batch as a frame. The bytes are the same on disk, between nodes and in a gRPC response. Pure.
 *
 *   frame  := 0x00  length:u32be  RecordBatch         length counts what follows it
 *   batch  := header [producer] [command] records     protobuf; every header field is written, also if it is zero
 *          |  header [command]
 *   header := crc32 previous_crc32 index term base_offset timestamp_ms record_count kind group_id
 *   producer := producer_id producer_epoch first_sequence producer_subject
 *
 * crc32 covers every byte of the frame except its own four. previous_crc32 is that of the batch before, so the frames form
 * a chain. Each header field has a constant place, which FORMAT.md lists.
 */
import { assert } from "../../lib/assert.ts";
import {
  readBigU64le,
  readU32be,
  readU32le,
  readU64le,
  readVarint,
  varintBytes,
  varintEnd,
  writeBigU64le,
  writeU32le,
  writeU64le,
  writeVarint,
} from "../../lib/bytes.ts";
import { crc32 } from "../../lib/checksum.ts";
import { envelopeBytes, writeEnvelopeHead } from "../../lib/envelope.ts";
import type { LogId, Offset, ProducerStamp, RaftIndex, Term } from "../../types.ts";

/** The gRPC prefix: a flag byte and the length. */
export const prefixBytes = envelopeBytes;
/** Prefix and header. The first record of a frame without a producer follows them. */
export const headerBytes = 63;
/** The largest frame, so that no message exceeds 4 MiB. */
export const frameBytesMax = 4 * 1024 * 1024 - 64 * 1024;
/** The most records in one batch. */
export const batchRecordsMax = 65_536;
/** The largest term: an index entry has 32 bits for it. */
export const termMax = 0xffff_ffff;
/** The longest subject of a producer, in bytes. */
export const subjectBytesMax = 255;

export const batchKind = {
  data: 0,
  noOp: 1,
  configuration: 2,
  trim: 3,
  settings: 4,
  level: 5,
  createLog: 6,
  configureLog: 7,
  closeLog: 8,
  deleteLog: 9,
  trimLog: 10,
  /** What is left of a data batch that nothing can read any more: see settled-frame.ts. */
  settled: 11,
  /** A client has read a log with a time to live. */
  touchLog: 12,
  /** A log is deleted for its clients; its forks still read its records. */
  hideLog: 13,
  commitCursor: 14, // Creates a cursor, or moves it.
} as const;
export type BatchKind = (typeof batchKind)[keyof typeof batchKind];

/** Where the value of each field begins. Its tag is the byte before. */
const place = {
  crc: 6,
  previousCrc: 11,
  index: 16,
  term: 25,
  baseOffset: 34,
  timestamp: 43,
  recordCount: 52,
  kind: 57,
  group: 59,
  producerId: 64,
  producerEpoch: 73,
  firstSequence: 78,
  subject: 87,
} as const;

/** The tag bytes of the header and their places. A tag is field number << 3 | wire type. */
const headerTags: readonly (readonly [at: number, tag: number])[] = [
  [place.crc - 1, 0x15],
  [place.previousCrc - 1, 0x1d],
  [place.index - 1, 0x21],
  [place.term - 1, 0x29],
  [place.baseOffset - 1, 0x31],
  [place.timestamp - 1, 0x39],
  [place.recordCount - 1, 0x45],
  [place.kind - 1, 0x48],
  [place.group - 1, 0x55],
];
/** A header of which every field is 0. */
const emptyHeader = new Uint8Array(headerBytes);
for (const [at, tag] of headerTags) emptyHeader[at] = tag;

const producerTag = 0x59;
const producerTags: readonly (readonly [at: number, tag: number])[] = [
  [place.producerId - 1, producerTag],
  [place.producerEpoch - 1, 0x65],
  [place.firstSequence - 1, 0x69],
  [place.subject - 1, 0x72],
];
export const commandTag = 0x7a;
/** The body of a settled frame: original-crc:u32le original-bytes:u32le settled-at:u64le. It ends the frame. */
const settledBodyBytes = 16;
const settledTailBytes = 2 + settledBodyBytes;

/** The header of a batch, without its checksums. */
export interface BatchHeader {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly baseOffset: Offset;
  readonly timestampMs: number;
  readonly recordCount: number;
  readonly kind: BatchKind;
  /** The log of its records, or the log that a command is about. Default 0. The base offset counts within this log. */
  readonly logId?: LogId;
}

/** The length of the frame, of which the prefix must be present. */
export const frameBytes = (bytes: Uint8Array, at: number): number => prefixBytes + readU32be(bytes, at + 1);
/** The checksum that the next frame holds. That of a settled frame is the one of the batch that it replaces. */
export const frameCrc = (bytes: Uint8Array, at: number): number =>
  frameKind(bytes, at) === batchKind.settled ? settledCrc(bytes, at) : readU32le(bytes, at + place.crc);
export const framePreviousCrc = (bytes: Uint8Array, at: number): number =>
  readU32le(bytes, at + place.previousCrc);
export const frameIndex = (bytes: Uint8Array, at: number): RaftIndex => readU64le(bytes, at + place.index);
export const frameTerm = (bytes: Uint8Array, at: number): Term => readU64le(bytes, at + place.term);
export const frameBaseOffset = (bytes: Uint8Array, at: number): Offset =>
  readU64le(bytes, at + place.baseOffset);
export const frameTimestampMs = (bytes: Uint8Array, at: number): number =>
  readU64le(bytes, at + place.timestamp);
export const frameRecordCount = (bytes: Uint8Array, at: number): number =>
  readU32le(bytes, at + place.recordCount);
export const frameKind = (bytes: Uint8Array, at: number): BatchKind => bytes[at + place.kind] as BatchKind;
/** Whether the frame stands for records, whole or settled: it takes offsets. */
export const frameTakesOffsets = (bytes: Uint8Array, at: number): boolean => {
  const kind = frameKind(bytes, at);
  return kind === batchKind.data || kind === batchKind.settled;
};
/** 0 for `default`, and for commands about no named log. */
export const frameLogId = (bytes: Uint8Array, at: number): LogId => readU32le(bytes, at + place.group);
export const frameNextOffset = (bytes: Uint8Array, at: number): Offset =>
  frameBaseOffset(bytes, at) + frameRecordCount(bytes, at);

const settledBody = (bytes: Uint8Array, at: number): number => at + frameBytes(bytes, at) - settledBodyBytes;
const settledCrc = (bytes: Uint8Array, at: number): number => readU32le(bytes, settledBody(bytes, at));
/** The bytes of the batch that a settled frame replaces; of another frame its length. */
export const frameOriginalBytes = (bytes: Uint8Array, at: number): number =>
  frameKind(bytes, at) === batchKind.settled
    ? readU32le(bytes, settledBody(bytes, at) + 4)
    : frameBytes(bytes, at);
/** The index up to which the log was applied when the batch was settled: its records were below the lowest offset then. */
export const frameSettledAt = (bytes: Uint8Array, at: number): RaftIndex =>
  readU64le(bytes, settledBody(bytes, at) + 8);

/**
 * Returns the settled frame of the checked data batch at `at`: its header and producer, without its records. Undefined if that
 * is not smaller, or if the batch has a command, which rows need.
 */
export function settledFrame(bytes: Uint8Array, at: number, settledAt: RaftIndex): Uint8Array | undefined {
  assert(frameKind(bytes, at) === batchKind.data, "only records are settled");
  const head = afterProducer(bytes, at) - at;
  const length = head + settledTailBytes;
  if (length >= frameBytes(bytes, at) || bytes[at + head] === commandTag) return undefined;
  const frame = new Uint8Array(length);
  frame.set(bytes.subarray(at, at + head));
  writeEnvelopeHead(frame, 0, length);
  frame[place.kind] = batchKind.settled;
  frame[head] = commandTag;
  frame[head + 1] = settledBodyBytes;
  writeU32le(frame, head + 2, frameCrc(bytes, at));
  writeU32le(frame, head + 6, frameBytes(bytes, at));
  writeU64le(frame, head + 10, settledAt);
  writeU32le(frame, place.crc, computeCrc(frame, 0, length));
  return frame;
}

export function frameHeader(bytes: Uint8Array, at: number): BatchHeader {
  return {
    index: frameIndex(bytes, at),
    term: frameTerm(bytes, at),
    baseOffset: frameBaseOffset(bytes, at),
    timestampMs: frameTimestampMs(bytes, at),
    recordCount: frameRecordCount(bytes, at),
    kind: frameKind(bytes, at),
    logId: frameLogId(bytes, at),
  };
}

/** Where the records of a checked frame begin in `bytes`; the command, if it has no records. */
export function framePayload(bytes: Uint8Array, at: number): number {
  const from = afterProducer(bytes, at);
  if (bytes[from] !== commandTag || frameKind(bytes, at) !== batchKind.data) return from;
  return varintEnd(bytes, from + 1, from + 11) + readVarint(bytes, from + 1, from + 11);
}

/** Where the command of a checked frame begins, if it has one. */
export function afterProducer(bytes: Uint8Array, at: number): number {
  if (bytes[at + headerBytes] !== producerTag) return at + headerBytes;
  const from = at + place.subject;
  return varintEnd(bytes, from, from + 10) + readVarint(bytes, from, from + 10);
}

/** The producer of the frame's records. Its sequence is that of the first record. */
export function frameProducer(bytes: Uint8Array, at: number): ProducerStamp | undefined {
  if (bytes[at + headerBytes] !== producerTag) return undefined;
  const payload = afterProducer(bytes, at);
  const from = varintEnd(bytes, at + place.subject, payload);
  return {
    subject: Buffer.from(bytes.buffer, bytes.byteOffset + from, payload - from).toString("utf8"),
    id: readBigU64le(bytes, at + place.producerId),
    epoch: readU32le(bytes, at + place.producerEpoch),
    sequence: readU64le(bytes, at + place.firstSequence),
  };
}

/** The command of a frame; empty for a frame without one. */
export function frameCommand(bytes: Uint8Array, at: number): Uint8Array {
  const end = at + frameBytes(bytes, at);
  const from = afterProducer(bytes, at);
  if (from >= end || bytes[from] !== commandTag) return new Uint8Array(0);
  const body = varintEnd(bytes, from + 1, end);
  if (body < 0) return new Uint8Array(0);
  return bytes.subarray(body, Math.min(end, body + Math.max(0, readVarint(bytes, from + 1, end))));
}

/** The bytes of a command with its tag and length; 0 without one. */
export const commandBytes = (command: Uint8Array | undefined): number =>
  command === undefined || command.length === 0 ? 0 : 1 + varintBytes(command.length) + command.length;

/** Writes a command at `at`. Returns the position after it. */
export function writeCommand(bytes: Uint8Array, at: number, command: Uint8Array | undefined): number {
  if (command === undefined || command.length === 0) return at;
  bytes[at] = commandTag;
  const body = writeVarint(bytes, at + 1, command.length);
  bytes.set(command, body);
  return body + command.length;
}

/** How many bytes precede the first record of a batch of this producer. */
export function headBytes(producer: ProducerStamp | undefined): number {
  if (producer === undefined) return headerBytes;
  const subject = Buffer.byteLength(producer.subject);
  assert(subject <= subjectBytesMax, "subject too long");
  return place.subject + varintBytes(subject) + subject;
}

/** The header fields that describe the content. They are known before the frame has a place in the log. */
export type FrameContent = Pick<BatchHeader, "recordCount" | "kind" | "logId">;
/** A draft of a named log also has its base offset: the leader knows it as soon as it accepts an append. */
export type DraftContent = FrameContent & Partial<Pick<BatchHeader, "baseOffset">>;
/** The header fields that describe the place in the log. */
export type FramePlace = Omit<BatchHeader, keyof FrameContent>;

/**
 * Writes a draft: prefix, header and producer block at `at`, around a payload that is already at
 * `at + headBytes(producer) … end`. The fields of its place and the checksums stay 0 until sealFrame().
 */
export function writeDraft(
  bytes: Uint8Array,
  at: number,
  end: number,
  { recordCount, kind, logId = 0, baseOffset = 0 }: DraftContent,
  producer?: ProducerStamp,
): void {
  assert(end - at <= frameBytesMax, "frame too large");
  bytes.set(emptyHeader, at);
  writeEnvelopeHead(bytes, at, end);
  writeU32le(bytes, at + place.recordCount, recordCount);
  bytes[at + place.kind] = kind;
  writeU32le(bytes, at + place.group, logId);
  writeU64le(bytes, at + place.baseOffset, baseOffset);
  if (producer !== undefined) writeProducer(bytes, at, producer);
}

/** Whether the frame at `at` is a draft: it has no index yet. Indexes in a log begin at 1. */
export const isDraft = (bytes: Uint8Array, at: number): boolean => frameIndex(bytes, at) === 0;

/** Completes the draft at `at … end`: writes its place and the checksums. Returns its CRC, which the next frame holds. */
export function sealFrame(
  bytes: Uint8Array,
  at: number,
  end: number,
  { index, term, baseOffset, timestampMs }: FramePlace,
  previousCrc: number,
): number {
  writeU32le(bytes, at + place.previousCrc, previousCrc);
  writeU64le(bytes, at + place.index, index);
  writeU64le(bytes, at + place.term, term);
  writeU64le(bytes, at + place.baseOffset, baseOffset);
  writeU64le(bytes, at + place.timestamp, timestampMs);
  const crc = computeCrc(bytes, at, end);
  writeU32le(bytes, at + place.crc, crc);
  return crc;
}

function writeProducer(bytes: Uint8Array, at: number, producer: ProducerStamp): void {
  for (const [tagAt, tag] of producerTags) bytes[at + tagAt] = tag;
  writeBigU64le(bytes, at + place.producerId, producer.id);
  writeU32le(bytes, at + place.producerEpoch, producer.epoch);
  writeU64le(bytes, at + place.firstSequence, producer.sequence);
  const subject = Buffer.from(producer.subject);
  bytes.set(subject, writeVarint(bytes, at + place.subject, subject.length));
}

/** Returns a draft in a new buffer. `payload` is the records or, for other kinds than data, the command. */
export function encodeDraft(
  content: DraftContent,
  payload: Uint8Array,
  producer?: ProducerStamp,
): Uint8Array {
  const command = content.kind !== batchKind.data && payload.length > 0;
  const head = headBytes(producer);
  const frame = new Uint8Array(head + (command ? 1 + varintBytes(payload.length) : 0) + payload.length);
  let at = head;
  if (command) {
    frame[at] = commandTag;
    at = writeVarint(frame, at + 1, payload.length);
  }
  frame.set(payload, at);
  writeDraft(frame, 0, frame.length, content, producer);
  return frame;
}

/** Returns a complete frame in a new buffer. */
export function encodeFrame(
  header: BatchHeader,
  payload: Uint8Array,
  previousCrc: number,
  producer?: ProducerStamp,
): Uint8Array {
  const frame = encodeDraft(header, payload, producer);
  sealFrame(frame, 0, frame.length, header, previousCrc);
  return frame;
}

function computeCrc(bytes: Uint8Array, at: number, end: number): number {
  return crc32(bytes, at + place.crc + 4, end, crc32(bytes, at, at + place.crc));
}

/** What can be wrong with a frame. "short": it does not end before the end of the bytes. */
export type FrameFlaw = "short" | "length" | "header" | "checksum" | "fields";

/** Checks that a whole frame is at `at … end`, so that its header fields can be read. Its content is not checked. */
export function checkExtent(bytes: Uint8Array, at: number, end: number): "short" | "length" | undefined {
  if (at + prefixBytes > end) return "short";
  const length = frameBytes(bytes, at);
  if (bytes[at] !== 0 || length < headerBytes || length > frameBytesMax) return "length";
  return at + length > end ? "short" : undefined;
}

/** Checks the frame at `at`. Returns undefined if it is sound; then all functions above may be used on it. */
export function checkFrame(bytes: Uint8Array, at: number, end: number): FrameFlaw | undefined {
  const flaw = checkExtent(bytes, at, end);
  if (flaw !== undefined) return flaw;
  const length = frameBytes(bytes, at);
  for (const [tagAt, tag] of headerTags) if (bytes[at + tagAt] !== tag) return "header";
  if (readU32le(bytes, at + place.crc) !== computeCrc(bytes, at, at + length)) return "checksum";
  return checkFields(bytes, at, at + length) ? undefined : "fields";
}

/** Only a frame of a wrong program, or a forged one, has a right checksum and fails here. */
function checkFields(bytes: Uint8Array, at: number, end: number): boolean {
  const { index, term, baseOffset, timestampMs, recordCount, kind } = frameHeader(bytes, at);
  const safe = Number.isSafeInteger;
  if (!safe(index) || term > termMax || !safe(baseOffset + recordCount) || !safe(timestampMs)) return false;
  if (kind > batchKind.commitCursor || recordCount > batchRecordsMax) return false;
  const isSettled = kind === batchKind.settled;
  if ((kind === batchKind.data || isSettled) !== recordCount > 0) return false;
  if (bytes[at + headerBytes] === producerTag && !checkProducer(bytes, at, end)) return false;
  return !isSettled || checkSettled(bytes, at, end);
}

/** The body ends the frame, and is of a batch that was larger. */
function checkSettled(bytes: Uint8Array, at: number, end: number): boolean {
  const tail = afterProducer(bytes, at);
  if (end - tail !== settledTailBytes) return false;
  if (bytes[tail] !== commandTag || bytes[tail + 1] !== settledBodyBytes) return false;
  const original = frameOriginalBytes(bytes, at);
  const settledAt = frameSettledAt(bytes, at);
  const isLarger = original > end - at && original <= frameBytesMax;
  return isLarger && Number.isSafeInteger(settledAt) && settledAt >= frameIndex(bytes, at);
}

function checkProducer(bytes: Uint8Array, at: number, end: number): boolean {
  const safe = Number.isSafeInteger;
  const recordCount = frameRecordCount(bytes, at);
  if (at + place.subject > end) return false;
  for (const [tagAt, tag] of producerTags) if (bytes[at + tagAt] !== tag) return false;
  if (!safe(readU64le(bytes, at + place.firstSequence) + recordCount)) return false;
  const subject = readVarint(bytes, at + place.subject, end);
  return (
    subject >= 0 && subject <= subjectBytesMax && varintEnd(bytes, at + place.subject, end) + subject <= end
  );
}
