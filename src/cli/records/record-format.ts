/**
 * Formats records for `consume` and `tail`: text, json, raw, hex, or a custom format.
 *
 *   text   := [log " "] offset " " ["[" key "] "] value      a value that is not UTF-8 is its size and its base64
 *   FORMAT := text with %o offset, %t time (ms), %k key, %v value, %s size of the value, %l log, %%, and \n \t \\
 *
 * raw, %k and %v are the exact bytes.
 */
import { type PlacedRecord, recordLine } from "../../api/http/record-json.ts";
import { defaultLog } from "../../lib/names/log-name.ts";
import { argumentFault } from "../exit-status.ts";
import type { PrintBuffer } from "../output/print-buffer.ts";
import { printable, printableBytes, printableJson } from "../output/terminal.ts";

/** A record. One of several logs has the name of its log and a token to continue after it. */
export interface PrintedRecord extends PlacedRecord {
  readonly log?: string;
  readonly logId?: string | undefined;
  readonly resume?: string;
}

/** Adds what is printed of a record to `out`. */
export type RecordPrinter = (record: PrintedRecord, out: PrintBuffer) => void;

/**
 * Returns the printer of a --format. With `safe` (default false) control characters are escaped, for a terminal.
 * `ofLog` is the log of records that do not have its name.
 * @throws Fault "config" for an invalid format
 */
export function recordPrinter(format: string, safe = false, ofLog = defaultLog): RecordPrinter {
  const shown = safe ? printableBytes : (bytes: Uint8Array) => bytes;
  switch (format) {
    case "text":
      return textPrinter(safe);
    case "json":
      return safe
        ? (record, out) => out.text(`${printableJson(lineOf(record))}\n`)
        : (record, out) => out.text(`${lineOf(record)}\n`);
    case "raw":
      return ({ value }, out) => {
        out.add(shown(value));
        out.text("\n");
      };
    case "hex":
      return ({ value }, out) =>
        out.text(`${Buffer.from(value.buffer, value.byteOffset, value.length).toString("hex")}\n`);
    default:
      return custom(format, shown, ofLog);
  }
}

/** The line of a record. The members of several logs are those of `GET /tail`. */
function lineOf(record: PrintedRecord): string {
  const { log, logId, resume } = record;
  const line = recordLine(record);
  if (log === undefined) return line;
  const named = JSON.stringify(logId === undefined ? { log } : { log, log_id: logId });
  return `${named.slice(0, -1)},${line.slice(1, -1)},"resume":"${resume}"}`;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Undefined for bytes that are not UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** For people: a line for each record, if its value is one. */
function textPrinter(safe: boolean): RecordPrinter {
  const shown = (bytes: Uint8Array): string =>
    textOf(bytes) ?? `(${bytes.length} bytes) ${Buffer.from(bytes).toString("base64")}`;
  return ({ log, offset, key, value }, out) => {
    const from = log === undefined ? "" : `${log} `;
    const of = key.length === 0 ? "" : `[${shown(key)}] `;
    const line = `${from}${offset} ${of}${shown(value)}`;
    out.text(`${safe ? printable(line) : line}\n`);
  };
}

type Part = (record: PrintedRecord) => string | Uint8Array;

const lettersOf = (
  shown: (bytes: Uint8Array) => string | Uint8Array,
  ofLog: string,
): Readonly<Record<string, Part>> => ({
  o: ({ offset }) => String(offset),
  t: ({ timestampMs }) => String(timestampMs),
  k: ({ key }) => shown(key),
  v: ({ value }) => shown(value),
  s: ({ value }) => String(value.length),
  l: ({ log = ofLog }) => log,
  "%": () => "%",
});
const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", "\\": "\\" };

function custom(
  format: string,
  shown: (bytes: Uint8Array) => string | Uint8Array,
  ofLog: string,
): RecordPrinter {
  const letters = lettersOf(shown, ofLog);
  if (!format.includes("%")) {
    throw argumentFault("--format must be text, json, raw, hex or a text with %", format);
  }
  const parts: Part[] = [];
  for (const [whole, letter, escaped] of format.matchAll(/%([\s\S]?)|\\([\s\S]?)|[^%\\]+/g)) {
    if (letter !== undefined) {
      const part = letters[letter];
      if (part === undefined) throw argumentFault("--format can contain %o %t %k %v %s %l %%", whole);
      parts.push(part);
    } else if (escaped !== undefined) {
      const text = escapes[escaped];
      if (text === undefined) throw argumentFault("--format can contain \\n, \\t and \\\\", whole);
      parts.push(() => text);
    } else parts.push(() => whole);
  }
  return (record, out) => {
    for (const part of parts) out.add(part(record));
  };
}
