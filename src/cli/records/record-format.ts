/**
 * Formats records for `consume` and `tail`: json, raw, hex, or a custom format.
 *
 *   FORMAT := text with %o offset, %t time (ms), %k key, %v value, %s size of the value, %l log, %%, and \n \t \\
 *
 * raw, %k and %v are the exact bytes.
 */
import { type PlacedRecord, recordLine } from "../../api/http/record-json.ts";
import { defaultLog } from "../../api/methods/logs/log-name.ts";
import { argumentFault } from "../exit-status.ts";
import { printableBytes, printableJson } from "../output/terminal.ts";

/** A record. One of several logs has the name of its log and a token to continue after it. */
export interface PrintedRecord extends PlacedRecord {
  readonly log?: string;
  readonly logId?: string | undefined;
  readonly resume?: string;
}

export type RecordPrinter = (record: PrintedRecord) => string | Uint8Array;

const newline = Buffer.from("\n");

/**
 * Returns the printer of a --format. With `safe` (default false) control characters are escaped, for a terminal.
 * `ofLog` is the log of records that do not have its name.
 * @throws Fault "config" for an invalid format
 */
export function recordPrinter(format: string, safe = false, ofLog = defaultLog): RecordPrinter {
  const shown = safe ? printableBytes : (bytes: Uint8Array) => bytes;
  switch (format) {
    case "json":
      return safe ? (record) => `${printableJson(lineOf(record))}\n` : (record) => `${lineOf(record)}\n`;
    case "raw":
      return ({ value }) => Buffer.concat([toBytes(shown(value)), newline]);
    case "hex":
      return ({ value }) => `${Buffer.from(value).toString("hex")}\n`;
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
    throw argumentFault("--format must be json, raw, hex or a text with %", format);
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
  return (record) => Buffer.concat(parts.map((part) => toBytes(part(record))));
}

const toBytes = (piece: string | Uint8Array): Uint8Array =>
  typeof piece === "string" ? Buffer.from(piece) : piece;
