/**
 * Records as elements of a run: `0x0a length record`, canonical protobuf with empty fields left out. Pure.
 *
 * Never: copies a value when decoding, checks what a node has checked.
 */
import { readVarint, varintBytes, varintEnd, writeVarint } from "../lib/bytes.ts";
import type { RecordRun } from "../vocabulary.ts";

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

/** A record to append: bytes, or text that is sent as UTF-8. */
export interface NewRecord {
  readonly value?: Uint8Array | string;
  readonly key?: Uint8Array | string;
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | string }[];
}

const tag = {
  record: 0x0a,
  value: 0x0a,
  key: 0x2a,
  header: 0x32,
  headerKey: 0x0a,
  headerValue: 0x12,
} as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const nothing: Uint8Array = new Uint8Array(0);

type Field = readonly [tag: number, bytes: Uint8Array];

/** The records as one run, to be appended as a whole. */
export function encodeRun(records: readonly NewRecord[]): RecordRun {
  const bodies = records.map(fieldsOf);
  let total = 0;
  const lengths = bodies.map((fields) => {
    const length = fieldsBytes(fields);
    total += 1 + varintBytes(length) + length;
    return length;
  });
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const [ordinal, fields] of bodies.entries()) {
    bytes[at] = tag.record;
    at = writeFields(bytes, writeVarint(bytes, at + 1, lengths[ordinal]!), fields);
  }
  return { bytes, count: records.length };
}

function fieldsOf({ value, key, headers }: NewRecord): Field[] {
  const fields = nonEmpty([tag.value, bytesOf(value)], [tag.key, bytesOf(key)]);
  for (const header of headers ?? []) {
    const inner = nonEmpty([tag.headerKey, bytesOf(header.key)], [tag.headerValue, bytesOf(header.value)]);
    const body = new Uint8Array(fieldsBytes(inner));
    writeFields(body, 0, inner);
    fields.push([tag.header, body]);
  }
  return fields;
}

const nonEmpty = (...fields: Field[]): Field[] => fields.filter(([, bytes]) => bytes.length > 0);

function bytesOf(part: Uint8Array | string | undefined): Uint8Array {
  if (part === undefined) return nothing;
  return typeof part === "string" ? encoder.encode(part) : part;
}

function fieldsBytes(fields: readonly Field[]): number {
  let total = 0;
  for (const [, bytes] of fields) total += 1 + varintBytes(bytes.length) + bytes.length;
  return total;
}

function writeFields(out: Uint8Array, from: number, fields: readonly Field[]): number {
  let at = from;
  for (const [fieldTag, bytes] of fields) {
    out[at] = fieldTag;
    at = writeVarint(out, at + 1, bytes.length);
    out.set(bytes, at);
    at += bytes.length;
  }
  return at;
}

/** The parts of the stored record at `start … end`. */
export function decodeRecord(bytes: Uint8Array, start: number, end: number): RecordParts {
  let value = nothing;
  let key = nothing;
  const headers: RecordHeader[] = [];
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = body + readVarint(bytes, at + 1, end);
    if (bytes[at] === tag.value) value = bytes.subarray(body, next);
    else if (bytes[at] === tag.key) key = bytes.subarray(body, next);
    else headers.push(decodeHeader(bytes, body, next));
    at = next;
  }
  return { value, key, headers };
}

function decodeHeader(bytes: Uint8Array, start: number, end: number): RecordHeader {
  let key = "";
  let value = nothing;
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = body + readVarint(bytes, at + 1, end);
    if (bytes[at] === tag.headerKey) key = decoder.decode(bytes.subarray(body, next));
    else value = bytes.subarray(body, next);
    at = next;
  }
  return { key, value };
}
