/**
 * The record walk: looks at every byte of a run of records once, without decoding any, so that what is stored can
 * be trusted by every reader. Pure.
 *
 *   run     := element*          element := 0x0a length record        (the bytes of `repeated Record = 1`)
 *   stored  := value? key? header*                fields 1, 5 and 6; last one wins, as in protobuf
 *
 * Everything else that a client sends inside a record (offset 2, term 3, type 4, timestamp 7, and numbers nobody
 * has given a meaning yet) is the server's to say: a run that holds any of it is copied without it. Groups, wire
 * types that do not fit, lengths that pass their end, and header names that are not UTF-8 are refused.
 *
 * Never: builds a record, changes the bytes it was given.
 */
import { isUtf8 } from "node:buffer";
import { Fault } from "../fault.ts";
import { delimitedEnd, readVarint, varintBytes, varintEnd, writeVarint } from "../lib/bytes.ts";
import type { RecordRun } from "../vocabulary.ts";
import { batchRecordsMax } from "./frame.ts";

export const recordTag = 0x0a;

export interface RecordLimits {
  /** One record's body: value, key and headers with their tags. */
  readonly recordBytesMax: number;
  /** Records in one run; at most batchRecordsMax. */
  readonly recordsMax: number;
}

export const defaultRecordLimits: RecordLimits = { recordBytesMax: 1024 * 1024, recordsMax: batchRecordsMax };

/** What a walk found: a reusable object, so that the hot path allocates nothing. */
export interface Walk {
  /** Behind the last element. */
  end: number;
  count: number;
  /** True when the elements may be stored as they are. */
  asIs: boolean;
}

/** Tags of a record's fields. */
const valueTag = 0x0a;
const keyTag = 0x2a;
const headersTag = 0x32;
const headerKeyTag = 0x0a;
const headerValueTag = 0x12;

/**
 * Walks the elements from `start` on, up to `end` or the first byte that is not an element's tag, and notes in
 * `walk` where that was. Throws Fault "bad-record" (with `position` and `record`) and "too-large".
 */
export function walkElements(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: RecordLimits,
  walk: Walk,
): void {
  let at = start;
  let count = 0;
  let asIs = true;
  while (at < end && bytes[at] === recordTag) {
    const length = readVarint(bytes, at + 1, end);
    const body = varintEnd(bytes, at + 1, end);
    if (length < 0 || body < 0 || length > end - body)
      throw bad("its length passes the end", at - start, count);
    if (length > limits.recordBytesMax) {
      throw new Fault("too-large", {
        message: `record ${count} has ${length} bytes, the limit is ${limits.recordBytesMax}`,
        facts: { record: count, bytes: length, limit: limits.recordBytesMax },
      });
    }
    if (!walkRecord(bytes, body, body + length, at - start, count)) asIs = false;
    at = body + length;
    count++;
    if (count > limits.recordsMax) {
      throw new Fault("too-large", {
        message: `more than ${limits.recordsMax} records in one request`,
        facts: { limit: limits.recordsMax },
      });
    }
  }
  walk.end = at;
  walk.count = count;
  walk.asIs = asIs;
}

/** The run that `walk` found at `start`: the bytes themselves, or a copy without what may not be stored. */
export function storedRun(bytes: Uint8Array, start: number, walk: Walk): RecordRun {
  const run = bytes.subarray(start, walk.end);
  return { bytes: walk.asIs ? run : strip(run), count: walk.count };
}

/** Walks bytes that are elements and nothing else. Throws Fault "bad-record" and "too-large". */
export function walkRecords(bytes: Uint8Array, limits: RecordLimits = defaultRecordLimits): RecordRun {
  const walk: Walk = { end: 0, count: 0, asIs: true };
  walkElements(bytes, 0, bytes.length, limits, walk);
  if (walk.end !== bytes.length) throw bad("a byte that begins no record", walk.end, walk.count);
  return storedRun(bytes, 0, walk);
}

/** True when the record at `start … end` may be stored as it is. `position` and `record` are for the fault. */
function walkRecord(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  record: number,
): boolean {
  let asIs = true;
  let at = start;
  while (at < end) {
    const tag = bytes[at]!;
    if (tag === valueTag || tag === keyTag || tag === headersTag) {
      const next = delimitedEnd(bytes, at + 1, end);
      if (next < 0) throw bad("a field passes the end", position, record);
      if (tag === headersTag) {
        const body = varintEnd(bytes, at + 1, end);
        if (!walkHeader(bytes, body, next, position, record)) asIs = false;
      }
      at = next;
    } else {
      asIs = false;
      const next = skipField(bytes, at, end);
      const field = readVarint(bytes, at, end);
      if (next < 0) throw bad("a field is malformed", position, record);
      if (mismatched(field, recordWireTypes)) throw bad("a field has the wrong wire type", position, record);
      if (field === valueTag || field === keyTag || field === headersTag) {
        throw bad("a tag is longer than it need be", position, record);
      }
      at = next;
    }
  }
  return asIs;
}

/** Field number → wire type of the fields that Record knows. */
const recordWireTypes = [-1, 2, 0, 0, 0, 2, 2, 0];
const headerWireTypes = [-1, 2, 2];

function mismatched(tag: number, wireTypes: readonly number[]): boolean {
  const expected = wireTypes[tag >>> 3];
  return expected !== undefined && expected !== (tag & 7);
}

function walkHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  record: number,
): boolean {
  let asIs = true;
  let at = start;
  while (at < end) {
    const tag = bytes[at]!;
    const known = tag === headerKeyTag || tag === headerValueTag;
    const next = known ? delimitedEnd(bytes, at + 1, end) : skipField(bytes, at, end);
    if (next < 0) throw bad("a header is malformed", position, record);
    if (tag === headerKeyTag && !isText(bytes, varintEnd(bytes, at + 1, end), next)) {
      throw bad("a header's name is not UTF-8", position, record);
    }
    if (!known) {
      asIs = false;
      const field = readVarint(bytes, at, end);
      if (mismatched(field, headerWireTypes)) throw bad("a header has the wrong wire type", position, record);
      if (field === headerKeyTag || field === headerValueTag) {
        throw bad("a tag is longer than it need be", position, record);
      }
    }
    at = next;
  }
  return asIs;
}

function isText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! >= 0x80) return isUtf8(bytes.subarray(at, end));
  return true;
}

/** Behind the whole field at `at`, or −1: cut off, a group, an unknown wire type, or field number 0. */
function skipField(bytes: Uint8Array, at: number, end: number): number {
  const tag = readVarint(bytes, at, end);
  if (tag < 8 || tag > 0xffff_ffff) return -1;
  const value = varintEnd(bytes, at, end);
  switch (tag % 8) {
    case 0:
      return varintEnd(bytes, value, end);
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

/** A copy of walked elements with only fields 1, 5 and 6 in each record, and 1 and 2 in each header. */
function strip(run: Uint8Array): Uint8Array {
  const out = new Uint8Array(run.length);
  let to = 0;
  for (let at = 0; at < run.length; ) {
    const body = varintEnd(run, at + 1, run.length);
    const end = body + readVarint(run, at + 1, run.length);
    to = put(out, to, recordTag, keep(run, body, end, [valueTag, keyTag, headersTag]));
    at = end;
  }
  return out.subarray(0, to);
}

function keep(bytes: Uint8Array, start: number, end: number, tags: readonly number[]): Uint8Array {
  const out = new Uint8Array(end - start);
  let to = 0;
  for (let at = start; at < end; ) {
    const next = skipField(bytes, at, end);
    const tag = bytes[at]!;
    if (tags.includes(tag)) {
      const body = varintEnd(bytes, at + 1, end);
      const header = tag === headersTag;
      to = header
        ? put(out, to, tag, keep(bytes, body, next, [headerKeyTag, headerValueTag]))
        : put(out, to, tag, bytes.subarray(body, next));
    }
    at = next;
  }
  return out.subarray(0, to);
}

function put(out: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  // A stripped value never needs more room than it had: its length's varint only shrinks, or is made canonical.
  out[at] = tag;
  const body = writeVarint(out, at + 1, value.length);
  out.set(value, body);
  return body + value.length;
}

function bad(why: string, position: number, record: number): Fault {
  return new Fault("bad-record", {
    message: `record ${record} is malformed, ${why}`,
    facts: { record, position },
  });
}

/** The size of an element whose record body has this many bytes. */
export function elementBytes(bodyBytes: number): number {
  return 1 + varintBytes(bodyBytes) + bodyBytes;
}
