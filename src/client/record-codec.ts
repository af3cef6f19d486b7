/**
 * Records as elements of a run: `0x0a length record`, canonical protobuf with empty fields left out. Pure.
 *
 * Never: copies a value when decoding, checks what a node has checked.
 */
import { Fault } from "../fault.ts";
import { delimitedEnd, varintBytes, varintEnd, writeVarint } from "../lib/bytes.ts";
import type { RecordRun } from "../types.ts";
import { allocateBytes } from "./produce/byte-allocator.ts";
import { type BytesLike, type NewRecord, type RecordBytes, recordBytesOf } from "./produce/new-record.ts";

export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A record taken apart; absent parts are empty. */
export interface RecordParts {
  readonly value: Uint8Array;
  readonly key: Uint8Array;
  readonly headers: readonly RecordHeader[];
}

const tag = {
  record: 0x0a,
  value: 0x0a,
  key: 0x2a,
  header: 0x32,
  headerKey: 0x0a,
  headerValue: 0x12,
} as const;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const nothing: Uint8Array = new Uint8Array(0);

interface Body extends RecordBytes {
  /** Encoded, without tag and length of its own. */
  readonly length: number;
}

/**
 * Encodes the records as one run, to be appended as a whole.
 *
 * @throws Fault "bad-record" when one of them is not a record
 */
export function encodeRun(records: readonly (NewRecord | BytesLike)[]): RecordRun {
  const bodies = records.map(bodyOf);
  let total = 0;
  for (const { length } of bodies) total += 1 + varintBytes(length) + length;
  const bytes = allocateBytes(total);
  let at = 0;
  for (const body of bodies) {
    bytes[at] = tag.record;
    at = writeVarint(bytes, at + 1, body.length);
    at = writeField(bytes, at, tag.value, body.value);
    at = writeField(bytes, at, tag.key, body.key);
    for (const [key, value] of body.headers) {
      bytes[at] = tag.header;
      at = writeVarint(bytes, at + 1, fieldBytes(key) + fieldBytes(value));
      at = writeField(bytes, at, tag.headerKey, key);
      at = writeField(bytes, at, tag.headerValue, value);
    }
  }
  return { bytes, count: records.length };
}

function bodyOf(record: NewRecord | BytesLike): Body {
  const { value, key, headers } = recordBytesOf(record);
  let length = fieldBytes(value) + fieldBytes(key);
  for (const [name, content] of headers) {
    const inner = fieldBytes(name) + fieldBytes(content);
    length += 1 + varintBytes(inner) + inner; // a header is written even when it is empty
  }
  return { value, key, headers, length };
}

/** An empty field is left out. */
const fieldBytes = ({ length }: Uint8Array): number => (length === 0 ? 0 : 1 + varintBytes(length) + length);

function writeField(out: Uint8Array, at: number, fieldTag: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return at;
  out[at] = fieldTag;
  const body = writeVarint(out, at + 1, bytes.length);
  out.set(bytes, body);
  return body + bytes.length;
}

/** The parts of the stored record at `start … end`. Throws Fault "corrupt" when a field passes its end. */
export function decodeRecord(bytes: Uint8Array, start: number, end: number): RecordParts {
  let value = nothing;
  let key = nothing;
  const headers: RecordHeader[] = [];
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) throw new Fault("corrupt", { message: "a field of a record passes its end" });
    if (bytes[at] === tag.value) value = bytes.subarray(body, next);
    else if (bytes[at] === tag.key) key = bytes.subarray(body, next);
    else headers.push(decodeHeader(bytes, body, next));
    at = next;
  }
  return { value, key, headers };
}

/**
 * The trace in which a record was appended, to continue or to link: there when its producer wrote it, or asked for it
 * by the request header `tailrace-trace-record`. Unchecked: whoever continues a trace reads it strictly.
 */
export function traceparentOf({ headers }: Pick<RecordParts, "headers">): string | undefined {
  const header = headers.find(({ key }) => key === "traceparent");
  return header === undefined ? undefined : decoder.decode(header.value);
}

function decodeHeader(bytes: Uint8Array, start: number, end: number): RecordHeader {
  let key = "";
  let value = nothing;
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) throw new Fault("corrupt", { message: "a field of a record passes its end" });
    if (bytes[at] === tag.headerKey) key = decoder.decode(bytes.subarray(body, next));
    else value = bytes.subarray(body, next);
    at = next;
  }
  return { key, value };
}
