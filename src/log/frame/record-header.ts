/**
 * Puts a header into records that lie encoded in a run: one copy, nothing decoded. Pure.
 *
 * Never: replaces a header of the same name (the one who wrote the record knows better), makes a record too large.
 */
import { readVarint, varintBytes, varintEnd, writeVarint } from "../../lib/bytes.ts";
import type { RecordRun } from "../../types.ts";
import { decodeRecord } from "./record.ts";
import { elementBytes, recordTag } from "./record-walk.ts";

const headersTag = 0x32;

/**
 * The walked run with this header behind the fields of each record, but for records that have one of that name or
 * would pass `recordBytesMax`. The run as it is when all of it would pass `runBytesMax`.
 */
export function withHeader(
  run: RecordRun,
  key: string,
  value: string,
  recordBytesMax: number,
  runBytesMax: number,
): RecordRun {
  const header = headerField(Buffer.from(key), Buffer.from(value));
  const { bytes } = run;
  let total = 0;
  for (let at = 0; at < bytes.length; ) {
    const start = varintEnd(bytes, at + 1, bytes.length);
    const end = start + readVarint(bytes, at + 1, bytes.length);
    total += elementBytes(end - start + (takes(bytes, start, end) ? header.length : 0));
    at = end;
  }
  if (total > runBytesMax) return run;
  const out = new Uint8Array(total);
  let to = 0;
  for (let at = 0; at < bytes.length; ) {
    const start = varintEnd(bytes, at + 1, bytes.length);
    const end = start + readVarint(bytes, at + 1, bytes.length);
    const more = takes(bytes, start, end) ? header : nothing;
    out[to] = recordTag;
    to = writeVarint(out, to + 1, end - start + more.length);
    out.set(bytes.subarray(start, end), to);
    out.set(more, to + end - start);
    to += end - start + more.length;
    at = end;
  }
  return { bytes: out, count: run.count };

  function takes(from: Uint8Array, start: number, end: number): boolean {
    if (end - start + header.length > recordBytesMax) return false;
    return !decodeRecord(from, start, end).headers.some((one) => one.key === key);
  }
}

const nothing = new Uint8Array(0);

function headerField(key: Uint8Array, value: Uint8Array): Uint8Array {
  const body = elementBytes(key.length) + elementBytes(value.length);
  const field = new Uint8Array(1 + varintBytes(body) + body);
  field[0] = headersTag;
  let at = writeVarint(field, 1, body);
  for (const [tag, part] of [
    [0x0a, key],
    [0x12, value],
  ] as const) {
    field[at] = tag;
    at = writeVarint(field, at + 1, part.length);
    field.set(part, at);
    at += part.length;
  }
  return field;
}
