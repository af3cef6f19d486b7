/**
 * Encodes and decodes records as elements of a run.
 *
 *   element := 0x0a  length  Record             canonical protobuf; empty fields are left out
 *
 * Decoding copies no value, and does not repeat the checks of the node.
 */
import { Fault } from "../fault.ts";
import { delimitedEnd, varintBytes, varintEnd, writeVarint } from "../lib/bytes.ts";
import type { RecordHeader, RecordParts, RecordRun } from "../types.ts";
import { allocateBytes } from "./produce/byte-allocator.ts";
import { type BytesLike, type NewRecord, type RecordBytes, recordBytesOf } from "./produce/new-record.ts";

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
  /** Length of the encoded record, without its own tag and length. */
  readonly length: number;
}

/**
 * Encodes the records as one run, which is appended as a whole.
 * @throws Fault "bad-record" if one of them is not a record
 */
export function encodeRun(records: readonly (NewRecord | BytesLike)[]): RecordRun {
  const bodies = records.map(bodyOf);
  let total = 0;
  for (const body of bodies) total += elementBytes(body);
  const bytes = allocateBytes(total);
  let at = 0;
  for (const body of bodies) at = writeElement(bytes, at, body);
  return { bytes, count: records.length };
}

const scratch = new Uint8Array(16 * 1024);

/**
 * Encodes one record as a run. Its bytes change with the next call.
 * @throws Fault "bad-record"
 */
export function encodeInScratch(record: NewRecord | BytesLike): RecordRun {
  const body = bodyOf(record);
  const length = elementBytes(body);
  const bytes = length <= scratch.length ? scratch.subarray(0, length) : new Uint8Array(length);
  writeElement(bytes, 0, body);
  return { bytes, count: 1 };
}

const elementBytes = ({ length }: Body): number => 1 + varintBytes(length) + length;

/** Writes an element of a run. Returns the position after it. */
function writeElement(bytes: Uint8Array, start: number, { length, value, key, headers }: Body): number {
  bytes[start] = tag.record;
  let at = writeVarint(bytes, start + 1, length);
  at = writeField(bytes, at, tag.value, value);
  at = writeField(bytes, at, tag.key, key);
  for (const [name, content] of headers) {
    bytes[at] = tag.header;
    at = writeVarint(bytes, at + 1, fieldBytes(name) + fieldBytes(content));
    at = writeField(bytes, at, tag.headerKey, name);
    at = writeField(bytes, at, tag.headerValue, content);
  }
  return at;
}

function bodyOf(record: NewRecord | BytesLike): Body {
  const { value, key, headers } = recordBytesOf(record);
  let length = fieldBytes(value) + fieldBytes(key);
  for (const [name, content] of headers) {
    const inner = fieldBytes(name) + fieldBytes(content);
    length += 1 + varintBytes(inner) + inner; // an empty header is written, too
  }
  return { value, key, headers, length };
}

/** The bytes of a field with tag and length; 0 for an empty one, which is left out. */
const fieldBytes = ({ length }: Uint8Array): number => (length === 0 ? 0 : 1 + varintBytes(length) + length);

function writeField(out: Uint8Array, at: number, fieldTag: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return at;
  out[at] = fieldTag;
  const body = writeVarint(out, at + 1, bytes.length);
  out.set(bytes, body);
  return body + bytes.length;
}

/**
 * Returns the parts of the stored record at `start … end`, as views.
 * @throws Fault "corrupt" if a field passes the end of the record
 */
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
 * Returns the `traceparent` header of a record, if it has one. The producer wrote it, or asked the node to write it with the
 * request header `tailrace-trace-record`. The value is not validated.
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
