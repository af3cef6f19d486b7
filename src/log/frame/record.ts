/**
 * Records inside frames: a cursor that walks a slice without decoding, and a codec. Pure.
 *
 * Frames are checked before (checkFrame, checkPayload). Each step here still stays inside the bytes and makes progress, so
 * that unchecked bytes cause an error and never an endless loop.
 */
import { Fault } from "../../fault.ts";
import { delimitedEnd, varintBytes, varintEnd, writeVarint } from "../../lib/bytes.ts";
import type { Offset, RaftIndex, RecordHeader, RecordParts, RecordRun, Term } from "../../types.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  headerBytes as frameHeaderBytes,
  frameIndex,
  frameKind,
  framePayload,
  frameTerm,
  frameTimestampMs,
} from "./frame.ts";
import { headerKeyTag, headersTag, headerValueTag, keyTag, recordTag, valueTag } from "./record-strip.ts";

/**
 * Walks the records of `frame*` from offset `from` on: `while (cursor.next()) …`. The fields are those of the current
 * record. Frames without records are skipped.
 */
export class RecordCursor {
  readonly frames: Uint8Array;
  offset: Offset = 0;
  term: Term = 0;
  timestampMs = 0;
  /** Where the element begins, with its tag and length. */
  elementStart = 0;
  /** Where the record's bytes begin: the element without tag and length. */
  start = 0;
  end = 0;
  readonly #from: Offset;
  /** The only records that are shown, and how many of them were. */
  readonly #kept: readonly Offset[] | undefined;
  #keptShown = 0;
  #frameStart = 0;
  #frameEnd = 0;
  #next = 0;

  /** `kept`: the records that are shown, in their order. Default: all. */
  constructor(frames: Uint8Array, from: Offset = 0, kept?: readonly Offset[]) {
    this.frames = frames;
    this.#from = from;
    this.#kept = kept;
  }

  /** The Raft index of the batch of the record. */
  get index(): RaftIndex {
    return frameIndex(this.frames, this.#frameStart);
  }

  /** The offset of the first record of that batch. */
  get baseOffset(): Offset {
    return frameBaseOffset(this.frames, this.#frameStart);
  }

  /**
   * Moves to the next record. Returns false after the last.
   * @throws Fault "corrupt" for a record that exceeds its frame
   */
  next(): boolean {
    if (this.#keptShown >= (this.#kept?.length ?? Number.POSITIVE_INFINITY)) return false;
    do {
      while (this.#next >= this.#frameEnd) if (!this.#enterFrame()) return false;
      const { frames } = this;
      this.elementStart = this.#next;
      this.start = varintEnd(frames, this.#next + 1, this.#frameEnd);
      this.end = delimitedEnd(frames, this.#next + 1, this.#frameEnd);
      if (this.end < 0 || frames[this.#next] !== recordTag) throw malformed(this.offset + 1);
      this.#next = this.end;
      this.offset++;
    } while (this.offset < this.#from || !this.#isKept());
    return true;
  }

  #isKept(): boolean {
    const kept = this.#kept;
    if (kept === undefined) return true;
    while (kept[this.#keptShown]! < this.offset) this.#keptShown++;
    if (kept[this.#keptShown] !== this.offset) return false;
    this.#keptShown++;
    return true;
  }

  #enterFrame(): boolean {
    const { frames } = this;
    const at = this.#frameEnd;
    if (at >= frames.length) return false;
    const end = at + frameBytes(frames, at);
    if (at + frameHeaderBytes > frames.length || end > frames.length) throw malformed(this.offset + 1);
    this.#frameStart = at;
    this.#frameEnd = end;
    this.#next = frameKind(frames, at) === batchKind.data ? framePayload(frames, at) : this.#frameEnd;
    this.offset = frameBaseOffset(frames, at) - 1;
    this.term = frameTerm(frames, at);
    this.timestampMs = frameTimestampMs(frames, at);
    return true;
  }
}

const malformed = (offset: Offset): Fault =>
  new Fault("corrupt", {
    message: `the record at offset ${offset} is malformed, it does not end where its length says`,
    facts: { offset, why: "records" },
  });

const fieldPassesEnd = (): Fault =>
  new Fault("corrupt", { message: "a field of a record passes its end", facts: { why: "records" } });

/**
 * Decodes the stored record at `start … end`.
 * @throws Fault "corrupt" for a field that exceeds it
 */
export function decodeRecord(bytes: Uint8Array, start: number, end: number): RecordParts {
  let value = empty;
  let key = empty;
  const headers: RecordHeader[] = [];
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) throw fieldPassesEnd();
    if (bytes[at] === valueTag) value = bytes.subarray(body, next);
    else if (bytes[at] === keyTag) key = bytes.subarray(body, next);
    else headers.push(decodeHeader(bytes, body, next));
    at = next;
  }
  return { value, key, headers };
}

/**
 * Returns the bytes of key, value, header names and header values in the stored record `bytes[start … end)`, without tags
 * and lengths.
 * @throws Fault "corrupt" if a field passes its end
 */
export function recordContentBytes(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) throw fieldPassesEnd();
    // Inside a header the fields are 1 and 2, so one function serves both.
    total += bytes[at] === headersTag ? recordContentBytes(bytes, body, next) : next - body;
    at = next;
  }
  return total;
}

const empty: Uint8Array = new Uint8Array(0);

function decodeHeader(bytes: Uint8Array, start: number, end: number): RecordHeader {
  let key = "";
  let value = empty;
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) throw fieldPassesEnd();
    if (bytes[at] === headerKeyTag)
      key = Buffer.from(bytes.buffer, bytes.byteOffset + body, next - body).toString("utf8");
    else value = bytes.subarray(body, next);
    at = next;
  }
  return { key, value };
}

/** Encodes records as a run: canonical protobuf without empty fields. Missing parts are empty. It needs no walk. */
export function encodeRun(records: readonly Partial<RecordParts>[]): RecordRun {
  if (records.length === 1) {
    const { value, key, headers } = records[0]!;
    if (value !== undefined && (key?.length ?? 0) === 0 && (headers?.length ?? 0) === 0)
      return runOfValue(value);
  }
  const bodies = records.map(bodyBytes);
  let total = 0;
  for (const body of bodies) total += delimitedBytes(body);
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const [ordinal, record] of records.entries()) {
    bytes[at] = recordTag;
    at = writeVarint(bytes, at + 1, bodies[ordinal]!);
    at = writeField(bytes, at, valueTag, record.value);
    at = writeField(bytes, at, keyTag, record.key);
    for (const header of record.headers ?? []) {
      const key = Buffer.from(header.key);
      bytes[at] = headersTag;
      at = writeVarint(bytes, at + 1, headerBytes(key.length, header.value.length));
      at = writeField(bytes, at, headerKeyTag, key);
      at = writeField(bytes, at, headerValueTag, header.value);
    }
  }
  return { bytes, count: records.length };
}

const delimitedBytes = (length: number): number => 1 + varintBytes(length) + length;

/** A run of one record that is only a value, as most records are. */
function runOfValue(value: Uint8Array): RecordRun {
  const body = fieldBytes(value.length);
  const bytes = new Uint8Array(delimitedBytes(body));
  bytes[0] = recordTag;
  writeField(bytes, writeVarint(bytes, 1, body), valueTag, value);
  return { bytes, count: 1 };
}

const fieldBytes = (length: number): number => (length === 0 ? 0 : delimitedBytes(length));
const headerBytes = (key: number, value: number): number => fieldBytes(key) + fieldBytes(value);

function bodyBytes(record: Partial<RecordParts>): number {
  let total = fieldBytes(record.value?.length ?? 0) + fieldBytes(record.key?.length ?? 0);
  for (const { key, value } of record.headers ?? []) {
    total += delimitedBytes(headerBytes(Buffer.byteLength(key), value.length));
  }
  return total;
}

function writeField(bytes: Uint8Array, at: number, tag: number, value: Uint8Array | undefined): number {
  if (value === undefined || value.length === 0) return at;
  bytes[at] = tag;
  const body = writeVarint(bytes, at + 1, value.length);
  bytes.set(value, body);
  return body + value.length;
}
