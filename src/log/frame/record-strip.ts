/**
 * Copies a walked run of records without the fields that a client may not store: the fields 1, 5 and 6 of a record stay,
 * and 1 and 2 of a header. Lengths become canonical. Pure.
 *
 * Nothing is allocated per record or field, so the cost is a few passes over the bytes, whatever they contain.
 */
import { delimitedEnd, readVarint, varintBytes, varintEnd, writeVarint } from "../../lib/bytes.ts";

/** Tags of the fields that are stored. */
export const recordTag = 0x0a;
export const valueTag = 0x0a;
export const keyTag = 0x2a;
export const headersTag = 0x32;
export const headerKeyTag = 0x0a;
export const headerValueTag = 0x12;

/** The stored form of `run`, which must have been walked. */
export function stripRun(run: Uint8Array): Uint8Array {
  // The result is not longer: fields are removed, and lengths become smaller or canonical.
  const out = new Uint8Array(run.length);
  let to = 0;
  for (let at = 0; at < run.length; ) {
    const body = varintEnd(run, at + 1, run.length);
    const end = body + readVarint(run, at + 1, run.length);
    out[to] = recordTag;
    to = writeVarint(out, to + 1, storedRecordBytes(run, body, end));
    to = putRecord(out, to, run, body, end);
    at = end;
  }
  return out.subarray(0, to);
}

const isStored = (tag: number): boolean => tag === valueTag || tag === keyTag || tag === headersTag;
const isStoredInHeader = (tag: number): boolean => tag === headerKeyTag || tag === headerValueTag;
const delimited = (length: number): number => 1 + varintBytes(length) + length;

/** The size of the record's body without the fields that are not stored. */
function storedRecordBytes(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  for (let at = start; at < end; ) {
    const tag = bytes[at]!;
    const next = skipField(bytes, at, end);
    if (isStored(tag)) {
      const body = varintEnd(bytes, at + 1, end);
      total += delimited(tag === headersTag ? storedHeaderBytes(bytes, body, next) : next - body);
    }
    at = next;
  }
  return total;
}

function storedHeaderBytes(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  for (let at = start; at < end; ) {
    const next = skipField(bytes, at, end);
    if (isStoredInHeader(bytes[at]!)) total += delimited(next - varintEnd(bytes, at + 1, end));
    at = next;
  }
  return total;
}

function putRecord(out: Uint8Array, start: number, bytes: Uint8Array, from: number, end: number): number {
  let to = start;
  for (let at = from; at < end; ) {
    const tag = bytes[at]!;
    const next = skipField(bytes, at, end);
    if (tag === headersTag) {
      const body = varintEnd(bytes, at + 1, end);
      out[to] = tag;
      to = writeVarint(out, to + 1, storedHeaderBytes(bytes, body, next));
      to = putHeader(out, to, bytes, body, next);
    } else if (isStored(tag)) to = put(out, to, bytes, at, end, next);
    at = next;
  }
  return to;
}

function putHeader(out: Uint8Array, start: number, bytes: Uint8Array, from: number, end: number): number {
  let to = start;
  for (let at = from; at < end; ) {
    const next = skipField(bytes, at, end);
    if (isStoredInHeader(bytes[at]!)) to = put(out, to, bytes, at, end, next);
    at = next;
  }
  return to;
}

/** Copies the length-delimited field at `at`, which ends before `next`. */
function put(out: Uint8Array, to: number, bytes: Uint8Array, at: number, end: number, next: number): number {
  const body = varintEnd(bytes, at + 1, end);
  out[to] = bytes[at]!;
  let into = writeVarint(out, to + 1, next - body);
  // Creating a view for set() costs as much as copying this many bytes one by one.
  if (next - body > 64) out.set(bytes.subarray(body, next), into);
  else for (let from = body; from < next; from++) out[into++] = bytes[from]!;
  return next - body > 64 ? into + next - body : into;
}

/** Returns where the field at `at` ends, or −1 for a field that is cut off, a group, an unknown wire type or number 0. */
export function skipField(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!;
  const short = at < end && first < 0x80;
  const tag = short ? first : readVarint(bytes, at, end);
  if (tag < 8 || tag > 0xffff_ffff) return -1;
  const value = short ? at + 1 : varintEnd(bytes, at, end);
  switch (tag % 8) {
    case 0:
      return value < end && bytes[value]! < 0x80 ? value + 1 : varintEnd(bytes, value, end);
    case 1:
      return value + 8 > end ? -1 : value + 8;
    case 2:
      return delimitedEnd(bytes, value, end);
    case 5:
      return value + 4 > end ? -1 : value + 4;
    default:
      return -1;
  }
}
