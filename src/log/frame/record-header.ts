/**
 * Adds a header to the records of an encoded run, with one copy. Pure.
 */
import { readVarint, varintBytes, varintEnd, writeVarint } from "../../lib/bytes.ts";
import type { RecordRun } from "../../types.ts";
import { decodeRecord } from "./record.ts";
import { headerKeyTag, headersTag, headerValueTag, recordTag } from "./record-strip.ts";
import { elementBytes } from "./record-walk.ts";

/**
 * Returns the run, which was walked, with this header after the fields of each record. A record that has a header of this
 * name keeps it, and a record that would exceed `recordBytesMax` stays as it is. If the whole run would exceed
 * `runBytesMax`, it is returned unchanged.
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
    total += elementBytes(end - start + (accepts(bytes, start, end) ? header.length : 0));
    at = end;
  }
  if (total > runBytesMax) return run;
  const out = new Uint8Array(total);
  let to = 0;
  for (let at = 0; at < bytes.length; ) {
    const start = varintEnd(bytes, at + 1, bytes.length);
    const end = start + readVarint(bytes, at + 1, bytes.length);
    const more = accepts(bytes, start, end) ? header : nothing;
    out[to] = recordTag;
    to = writeVarint(out, to + 1, end - start + more.length);
    out.set(bytes.subarray(start, end), to);
    out.set(more, to + end - start);
    to += end - start + more.length;
    at = end;
  }
  return { bytes: out, count: run.count };

  function accepts(from: Uint8Array, start: number, end: number): boolean {
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
    [headerKeyTag, key],
    [headerValueTag, value],
  ] as const) {
    field[at] = tag;
    at = writeVarint(field, at + 1, part.length);
    field.set(part, at);
    at += part.length;
  }
  return field;
}
