/**
 * Formats records for `consume` and `tail`: json, raw, hex, or a custom format.
 *
 *   FORMAT := text with %o offset, %t time (ms), %k key, %v value, %s size of the value, %%, and \n \t \\
 *
 * raw, %k and %v are the exact bytes.
 */
import { type PlacedRecord, recordLine } from "../../api/http/record-json.ts";
import { argumentFault } from "../exit-status.ts";
import { printableBytes, printableJson } from "../output/terminal.ts";

export type RecordPrinter = (record: PlacedRecord) => string | Uint8Array;

const newline = Buffer.from("\n");

/**
 * Returns the printer of a --format. With `safe` (default false) control characters are escaped, for a terminal.
 * @throws Fault "config" for an invalid format
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
    throw argumentFault("--format must be json, raw, hex or a text with %", format);
  }
  const parts: Part[] = [];
  for (const [whole, letter, escaped] of format.matchAll(/%([\s\S]?)|\\([\s\S]?)|[^%\\]+/g)) {
    if (letter !== undefined) {
      const part = letters[letter];
      if (part === undefined) throw argumentFault("--format can contain %o %t %k %v %s %%", whole);
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
