/**
 * The record walk: checks every byte of a run of records once, without decoding a record, so that every reader can trust
 * what is stored. Pure.
 *
 *   run     := element*          element := 0x0a length record        (the bytes of `repeated Record = 1`)
 *   stored  := value? key? header*                fields 1, 5 and 6; the last one counts, as in protobuf
 *
 * A client may not set the other fields of a record (offset 2, term 3, type 4, timestamp 7, unknown numbers): a run that
 * contains one is copied without it. Groups, wrong wire types, lengths that exceed their container, and header names that
 * are not UTF-8 are refused.
 */
import { isUtf8 } from "node:buffer";
import { Fault } from "../../fault.ts";
import { delimitedEnd, readVarint, varintBytes, varintEnd } from "../../lib/bytes.ts";
import type { RecordRun } from "../../types.ts";
import { batchRecordsMax } from "./frame.ts";
import {
  headerKeyTag,
  headersTag,
  headerValueTag,
  keyTag,
  recordTag,
  skipField,
  stripRun,
  valueTag,
} from "./record-strip.ts";

export { recordTag, skipField };

export interface RecordLimits {
  /** The body of one record: value, key and headers with their tags. */
  readonly recordBytesMax: number;
  /** Records in one run; at most batchRecordsMax. */
  readonly recordsMax: number;
  /** Headers in one record. Undefined: no limit, for stored records, which may be older than the limit. */
  readonly headersMax?: number;
}

/** The most headers in one record of a client. A reader creates an object for each. */
export const recordHeadersMax = 1024;

export const defaultRecordLimits: RecordLimits = { recordBytesMax: 1024 * 1024, recordsMax: batchRecordsMax };

/** The result of a walk. The object is reused, so that the fast path allocates nothing. */
export interface Walk {
  /** Where the last element ends. */
  end: number;
  count: number;
  /** True if the elements may be stored as they are. */
  asIs: boolean;
}

/**
 * Walks the elements from `start` to `end`, or to the first byte that is not an element's tag. Writes the result to `walk`.
 * @throws Fault "bad-record" (with `position` and `record`), "too-large"
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
        message: `record ${count} has ${length} bytes with its key and headers, the limit is ${limits.recordBytesMax} (--record-bytes-max)`,
        facts: { record: count, bytes: length, limit: limits.recordBytesMax },
      });
    }
    if (
      !isBareValue(bytes, body, body + length) &&
      !walkRecord(bytes, body, body + length, at - start, count, limits.headersMax)
    )
      asIs = false;
    at = body + length;
    count++;
    if (count > limits.recordsMax) throw tooManyRecords(limits.recordsMax);
  }
  walk.end = at;
  walk.count = count;
  walk.asIs = asIs;
}

/** Returns the run that `walk` found at `start`: the bytes themselves, or a copy without what may not be stored. */
export function storedRun(bytes: Uint8Array, start: number, walk: Walk): RecordRun {
  const run = bytes.subarray(start, walk.end);
  return { bytes: walk.asIs ? run : stripRun(run), count: walk.count };
}

/**
 * Walks bytes that contain only elements.
 * @throws Fault "bad-record", "too-large"
 */
export function walkRecords(bytes: Uint8Array, limits: RecordLimits = defaultRecordLimits): RecordRun {
  const walk: Walk = { end: 0, count: 0, asIs: true };
  walkElements(bytes, 0, bytes.length, limits, walk);
  if (walk.end !== bytes.length) throw bad("a byte that begins no record", walk.end, walk.count);
  return storedRun(bytes, 0, walk);
}

/**
 * Returns true if the record in `at … end` is only a value of less than 16 KiB, as most records are. A bare value with an
 * unusual encoding returns false; walkRecord() checks it.
 */
function isBareValue(bytes: Uint8Array, at: number, end: number): boolean {
  if (bytes[at] !== valueTag) return false;
  const low = bytes[at + 1]!;
  if (low < 0x80) return at + 2 + low === end;
  const high = bytes[at + 2]!;
  return high > 0 && high < 0x80 && at + 3 + (low - 0x80) + high * 0x80 === end;
}

/** Returns true if the record at `start … end` may be stored as it is. `position` and `record` are for the fault. */
function walkRecord(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  record: number,
  headersMax: number | undefined,
): boolean {
  let asIs = true;
  let headers = 0;
  let at = start;
  while (at < end) {
    const tag = bytes[at]!;
    if (tag === valueTag || tag === keyTag || tag === headersTag) {
      const next = delimitedEnd(bytes, at + 1, end);
      if (next < 0) throw bad("a field passes the end", position, record);
      if (tag === headersTag) {
        if (++headers > (headersMax ?? headers)) throw tooManyHeaders(record, headersMax);
        const body = varintEnd(bytes, at + 1, end);
        if (!walkHeader(bytes, body, next, position, record)) asIs = false;
      }
      at = next;
    } else {
      asIs = false;
      const next = skipField(bytes, at, end);
      const field = tag < 0x80 ? tag : readVarint(bytes, at, end);
      if (next < 0) throw bad("a field is malformed", position, record);
      if (mismatched(field, recordWireTypes)) throw bad("a field has the wrong wire type", position, record);
      if (field === valueTag || field === keyTag || field === headersTag) {
        throw bad("a tag is longer than necessary", position, record);
      }
      at = next;
    }
  }
  return asIs;
}

/** The wire type of each field number of Record. */
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
      const field = tag < 0x80 ? tag : readVarint(bytes, at, end);
      if (mismatched(field, headerWireTypes)) throw bad("a header has the wrong wire type", position, record);
      if (field === headerKeyTag || field === headerValueTag) {
        throw bad("a tag is longer than necessary", position, record);
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

/** The fault for a request with more records than a batch can hold. */
export function tooManyRecords(limit: number): Fault {
  return new Fault("too-large", { message: `more than ${limit} records in one request`, facts: { limit } });
}

function tooManyHeaders(record: number, limit = 0): Fault {
  return new Fault("too-large", {
    message: `record ${record} has more than ${limit} headers`,
    facts: { record, limit },
  });
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
