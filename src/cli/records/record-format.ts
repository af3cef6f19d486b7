/**
 * Records as `consume` and `tail` print them: json, raw, hex, or a format of the caller's. Pure.
 *
 *   FMT := text with %o offset, %t time (ms), %k key, %v value, %s value's size, %%, and \n \t \\
 *
 * Never: loses a byte: raw and %k, %v are the bytes themselves.
 */
import { type PlacedRecord, recordLine } from "../../api/http/record-json.ts";
import { usageFault } from "../exit-status.ts";
import { printableBytes, printableJson } from "../output/terminal.ts";

export type RecordPrinter = (record: PlacedRecord) => string | Uint8Array;

const newline = Buffer.from("\n");

/**
 * The printer of a --format. With `safe`, for a terminal, what the terminal would obey is spelled out.
 *
 * @throws Fault "config" for a format with an unknown letter
 */
export function recordPrinter(format: string, safe = false): RecordPrinter {
  const shown = safe ? printableBytes : (bytes: Uint8Array) => bytes;
  switch (format) {
    case "json":
      return safe
        ? (record) => `${printableJson(recordLine(record))}\n`
        : (record) => `${recordLine(record)}\n`;
    case "raw":
      return ({ value }) => Buffer.concat([toBytes(shown(value)), newline]);
    case "hex":
      return ({ value }) => `${Buffer.from(value).toString("hex")}\n`;
    default:
      return custom(format, shown);
  }
}

type Part = (record: PlacedRecord) => string | Uint8Array;

const lettersOf = (shown: (bytes: Uint8Array) => string | Uint8Array): Readonly<Record<string, Part>> => ({
  o: ({ offset }) => String(offset),
  t: ({ timestampMs }) => String(timestampMs),
  k: ({ key }) => shown(key),
  v: ({ value }) => shown(value),
  s: ({ value }) => String(value.length),
  "%": () => "%",
});
const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", "\\": "\\" };

function custom(format: string, shown: (bytes: Uint8Array) => string | Uint8Array): RecordPrinter {
  const letters = lettersOf(shown);
  if (!format.includes("%")) {
    throw usageFault(`--format is json, raw, hex or text with % in it, not "${format}"`);
  }
  const parts: Part[] = [];
  for (const [whole, letter, escaped] of format.matchAll(/%([\s\S]?)|\\([\s\S]?)|[^%\\]+/g)) {
    if (letter !== undefined) {
      const part = letters[letter];
      if (part === undefined) throw usageFault(`--format knows %o %t %k %v %s %%, not %${letter}`);
      parts.push(part);
    } else if (escaped !== undefined) {
      const text = escapes[escaped];
      if (text === undefined) throw usageFault(`--format knows \\n, \\t and \\\\, not \\${escaped}`);
      parts.push(() => text);
    } else parts.push(() => whole);
  }
  return (record) => Buffer.concat(parts.map((part) => toBytes(part(record))));
}

const toBytes = (piece: string | Uint8Array): Uint8Array =>
  typeof piece === "string" ? Buffer.from(piece) : piece;
