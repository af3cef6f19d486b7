/**
 * Encodes records as JSON objects, for the routes `/` and `/tail` and for the command line. Bytes are base64. Offsets and
 * times are JSON numbers below 2^53.
 */
import type { Offset, RecordHeader, RecordParts } from "../../types.ts";

/** A record with its offset and timestamp. */
export interface PlacedRecord extends RecordParts {
  readonly offset: Offset;
  readonly timestampMs: number;
}

export type ValueFormat = "base64" | "text" | "json";

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
const headersOf = (headers: readonly RecordHeader[]): object[] =>
  headers.map(({ key, value }) => ({ key, value: base64(value) }));

/**
 * Returns `{"offset":0,"timestamp_ms":…,"key":…,"headers":[…],"value":…}`, without `key` and `headers` if they are
 * empty. With the format text or json, `text` or `json` replaces `value` if the value is valid in that format.
 */
export function recordLine(record: PlacedRecord, format: ValueFormat = "base64"): string {
  const { offset, timestampMs, key, headers, value } = record;
  let line = `{"offset":${offset},"timestamp_ms":${timestampMs}`;
  if (key.length > 0) line += `,"key":"${base64(key)}"`;
  if (headers.length > 0) line += `,"headers":${JSON.stringify(headersOf(headers))}`;
  return `${line},${valueMember(value, format)}}`;
}

/** Returns the response to `GET /`: `{"record":{"value":"…","offset":0}}`, with more members if there is a key or a header. */
export function consumeResponseLine(record: PlacedRecord): string {
  const { value, offset, key, headers } = record;
  if (key.length === 0 && headers.length === 0)
    return `{"record":{"value":"${base64(value)}","offset":${offset}}}\n`;
  const whole = {
    value: base64(value),
    offset,
    ...(key.length === 0 ? {} : { key: base64(key) }),
    ...(headers.length === 0 ? {} : { headers: headersOf(headers) }),
    timestamp_ms: record.timestampMs,
  };
  return `${JSON.stringify({ record: whole })}\n`;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns `"value":…`, `"text":…` or `"json":…`. JSON is copied on one line: parsing would round its numbers. */
function valueMember(value: Uint8Array, format: ValueFormat): string {
  if (format !== "base64") {
    try {
      const text = strictUtf8.decode(value);
      if (format === "text") return `"text":${JSON.stringify(text)}`;
      JSON.parse(text);
      return `"json":${text.replace(/[\r\n]+/g, " ").trim()}`;
    } catch {
      // Not valid in this format: the value is sent as base64.
    }
  }
  return `"value":"${base64(value)}"`;
}

/**
 * Decodes base64 in the standard alphabet with padding. Returns undefined for any other text.
 *
 * Node's decoder skips characters that are not base64 and accepts the URL alphabet. An ASCII text in which it skipped
 * characters decodes to fewer bytes than its length implies.
 */
export function parseBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || text.includes("-") || text.includes("_")) return undefined;
  if (Buffer.byteLength(text) !== text.length) return undefined; // not ASCII
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : undefined;
}
