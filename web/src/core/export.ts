/** Records as a file: lines of JSON, or CSV. */
import { toBase64 } from "./base64.ts";
import { textOf } from "./decode.ts";
import type { RecordView } from "./wire.ts";

export type ExportKind = "ndjson" | "csv";
export const exportTypes: Readonly<Record<ExportKind, string>> = {
  ndjson: "application/x-ndjson",
  csv: "text/csv;charset=utf-8",
};

/** The columns of CSV. `value_as` says how the value is written: `text`, or `base64` if it is not UTF-8. */
export const csvHead = "offset,time,key,headers,value_as,value\r\n";

/** Returns a record as the server does for `/tail?format=text`: `text`, or `value` in base64 if it is not UTF-8. */
export function jsonLine({ offset, timestampMs, key, headers, value }: RecordView): string {
  const text = textOf(value);
  const line = {
    offset,
    timestamp_ms: timestampMs,
    ...(key.length > 0 && { key: toBase64(key) }),
    ...(headers.length > 0 && {
      headers: headers.map((header) => ({ key: header.key, value: toBase64(header.value) })),
    }),
    ...(text === undefined ? { value: toBase64(value) } : { text }),
  };
  return `${JSON.stringify(line)}\n`;
}

/** Returns a record as a row of CSV (RFC 4180). The headers are pairs in JSON; times are UTC. */
export function csvRow({ offset, timestampMs, key, headers, value }: RecordView): string {
  const text = textOf(value);
  const pairs = headers.map((header): [string, string] => [header.key, textOrBase64(header.value)]);
  const fields = [
    String(offset),
    timeText(timestampMs),
    textOrBase64(key),
    pairs.length === 0 ? "" : JSON.stringify(pairs),
    text === undefined ? "base64" : "text",
    text ?? toBase64(value),
  ];
  return `${fields.map(quoted).join(",")}\r\n`;
}

const textOrBase64 = (bytes: Uint8Array): string => textOf(bytes) ?? toBase64(bytes);

const quoted = (field: string): string =>
  /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;

function timeText(atMs: number): string {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? String(atMs) : date.toISOString();
}
