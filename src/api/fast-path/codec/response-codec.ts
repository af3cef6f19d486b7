/**
 * Encodes the responses of the calls that carry records, each in its envelope (lib/envelope.ts).
 *
 *   ProduceResponse := offset=1  timestamp_ms=2  duplicate=3  log_id=4  token=5    a zero is omitted, as in protobuf
 *   ConsumeResponse := record=2 { stored bytes, offset=2, term=3, timestamp_ms=7 }  log_id=6  token=7
 *
 * A stored record is copied once, as a whole, and its offset, term and timestamp are appended. Protobuf allows any order
 * of fields.
 */
import { varintBytes, writeVarint } from "../../../lib/bytes.ts";
import { envelopeBytes, writeEnvelopeHead } from "../../../lib/envelope.ts";
import type { RecordCursor } from "../../../log/mod.ts";
import type { Appended } from "../../../types.ts";

/** Largest size of the field log_id: two numbers of at most ten digits and a dash. */
const logIdFieldBytesMax = 2 + 21;
/** Largest size of the field token: "s", a number of ten digits, a dot and one of sixteen. */
const tokenFieldBytesMax = 2 + 28;
/** Largest size of a response to an append, envelope included, in bytes. */
export const ackBytesMax = envelopeBytes + 40 + logIdFieldBytesMax + tokenFieldBytesMax;

/** The tag of log_id in each message. That of token is the next field. */
export const logIdTags = { produce: 0x22, produceBatch: 0x2a, produceBulk: 0x2a, consume: 0x32 } as const;
const nextTag = 8;

/** The log `default` has no id in responses. */
export const noField: Uint8Array = new Uint8Array(0);

/** Returns the field log_id and, if there is one, the field token; nothing without an id. */
export function logIdField(tag: number, id: string | undefined, token?: string): Uint8Array {
  if (id === undefined) return noField;
  const field = Buffer.concat([Uint8Array.of(tag, id.length), Buffer.from(id, "latin1")]);
  if (token === undefined) return field;
  const tokenHead = Uint8Array.of(tag + nextTag, token.length);
  return Buffer.concat([field, tokenHead, Buffer.from(token, "latin1")]);
}

function writeBytes(bytes: Uint8Array, at: number, field: Uint8Array): number {
  if (field.length === 0) return at;
  bytes.set(field, at);
  return at + field.length;
}

/** Largest size of a ProduceResponse whose numbers are at most these, envelope included, in bytes. */
export const ackBytes = (offset: number, timestampMs: number): number =>
  envelopeBytes + fieldBytes(offset) + fieldBytes(timestampMs) + 2;

const fieldBytes = (value: number): number => (value === 0 ? 0 : 1 + varintBytes(value));

function writeField(bytes: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  bytes[at] = tag;
  return writeVarint(bytes, at + 1, value);
}

/** Writes a ProduceResponse in its envelope at `at`, with its encoded log_id. Returns the position after it. */
export function writeProduceResponse(
  bytes: Uint8Array,
  at: number,
  offset: number,
  timestampMs: number,
  duplicate: boolean,
  logId: Uint8Array,
): number {
  let to = writeField(bytes, at + envelopeBytes, 0x08, offset);
  to = writeField(bytes, to, 0x10, timestampMs);
  to = writeField(bytes, to, 0x18, duplicate ? 1 : 0);
  to = writeBytes(bytes, to, logId);
  return writeEnvelopeHead(bytes, at, to);
}

/** Returns a ProduceBatchResponse in its envelope, with its encoded log_id and token. */
export function produceBatchResponse(appended: Appended, logId: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ackBytesMax);
  let to = writeField(bytes, envelopeBytes, 0x08, appended.firstOffset);
  to = writeField(bytes, to, 0x10, appended.count);
  to = writeField(bytes, to, 0x18, appended.timestampMs);
  to = writeField(bytes, to, 0x20, appended.duplicate ? 1 : 0);
  to = writeBytes(bytes, to, logId);
  return bytes.subarray(0, writeEnvelopeHead(bytes, 0, to));
}

/** Returns a ProduceBulkResponse in its envelope, with its encoded log_id and token. */
export function produceBulkResponse(
  firstOffset: number,
  records: number,
  batches: number,
  nextOffset: number,
  logId: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(ackBytesMax);
  let to = writeField(bytes, envelopeBytes, 0x08, firstOffset);
  to = writeField(bytes, to, 0x10, records);
  to = writeField(bytes, to, 0x18, batches);
  to = writeField(bytes, to, 0x20, nextOffset);
  to = writeBytes(bytes, to, logId);
  return bytes.subarray(0, writeEnvelopeHead(bytes, 0, to));
}

/**
 * Returns a marker of a ConsumeStream (caught_up=3 or heartbeat=4 or suspended=9, end_offset=5, log_id=6, token=7; with a filter
 * next_offset=8, skipped=10) in its envelope.
 */
export function markerResponse(
  marker: "caught-up" | "heartbeat" | "suspended",
  endOffset: number,
  logId: Uint8Array,
  filtered?: { readonly next: number; readonly skipped: number },
): Uint8Array {
  const bytes = new Uint8Array(ackBytesMax + filteredBytesMax);
  let to = writeField(bytes, envelopeBytes, markerTags[marker], 1);
  to = writeField(bytes, to, 0x28, endOffset);
  to = writeBytes(bytes, to, logId);
  if (filtered !== undefined) {
    bytes[to] = 0x40;
    to = writeVarint(bytes, to + 1, filtered.next);
    to = writeField(bytes, to, 0x50, filtered.skipped);
  }
  return bytes.subarray(0, writeEnvelopeHead(bytes, 0, to));
}

const markerTags = { "caught-up": 0x18, heartbeat: 0x20, suspended: 0x48 } as const;
/** Two numbers of 53 bits with their tags. */
const filteredBytesMax = 2 * 9;

/** Returns how many bytes writeConsumeResponse() writes for the record at the cursor. */
export function consumeResponseBytes(cursor: RecordCursor, logId: Uint8Array): number {
  const bytes = placedRecordBytes(cursor);
  return envelopeBytes + 1 + varintBytes(bytes) + bytes + logId.length;
}

/** Upper bound of what consumeResponseBytes() adds to the stored bytes of a record, without log_id. */
export const consumeOverheadMax = envelopeBytes + 1 + 5 + 3 * 9;

/**
 * Writes the record at the cursor as a ConsumeResponse in its envelope at `at`, with the encoded log_id. Returns the position
 * after it.
 */
export function writeConsumeResponse(
  bytes: Uint8Array,
  at: number,
  cursor: RecordCursor,
  logId: Uint8Array,
): number {
  let to = writePlacedRecord(bytes, at + envelopeBytes, 0x12, cursor);
  to = writeBytes(bytes, to, logId);
  return writeEnvelopeHead(bytes, at, to);
}

/** Upper bound of what writePlacedRecord() adds to the stored bytes of a record. */
export const placedOverheadMax = 1 + 5 + 3 * 9;

/** Writes the record at the cursor as a field, with its offset, term and timestamp. Returns the position after it. */
export function writePlacedRecord(bytes: Uint8Array, at: number, tag: number, cursor: RecordCursor): number {
  bytes[at] = tag;
  let to = writeVarint(bytes, at + 1, placedRecordBytes(cursor));
  to = copy(cursor.frames, cursor.start, cursor.end, bytes, to);
  to = writeField(bytes, to, 0x10, cursor.offset);
  to = writeField(bytes, to, 0x18, cursor.term);
  return writeField(bytes, to, 0x38, cursor.timestampMs);
}

/** Size of the record in a response: its stored bytes, then offset, term and timestamp. */
const placedRecordBytes = (cursor: RecordCursor): number =>
  cursor.end -
  cursor.start +
  fieldBytes(cursor.offset) +
  fieldBytes(cursor.term) +
  fieldBytes(cursor.timestampMs);

/** Node's copy creates no view of the source. It is faster than a loop at all sizes measured (32 B to 1 KiB). */
const nodeCopy = Buffer.prototype.copy;

function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  return at + nodeCopy.call(from as Buffer, to, at, start, end);
}
