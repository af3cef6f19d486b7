/**
 * Records as `consume` and `tail` print them: json, raw, hex, or a format of the caller's. Pure.
 *
 *   FMT := text with %o offset, %t time (ms), %k key, %v value, %s value's size, %%, and \n \t \\
 *
 * Never: loses a byte: raw and %k, %v are the bytes themselves.
 */
import { type PlacedRecord, recordLine } from "../service/record-json.ts";
import { misuse } from "./exit.ts";

export type RecordPrinter = (record: PlacedRecord) => string | Uint8Array;

const newline = Buffer.from("\n");

/** The printer of a --format. Throws Fault "config" for a format with an unknown letter. */
export function recordPrinter(format: string): RecordPrinter {
  switch (format) {
    case "json":
      return (record) => `${recordLine(record)}\n`;
    case "raw":
      return ({ value }) => Buffer.concat([value, newline]);
    case "hex":
      return ({ value }) => `${Buffer.from(value).toString("hex")}\n`;
    default:
      return custom(format);
  }
}

type Part = (record: PlacedRecord) => string | Uint8Array;

const letters: Readonly<Record<string, Part>> = {
  o: ({ offset }) => String(offset),
  t: ({ timestampMs }) => String(timestampMs),
  k: ({ key }) => key,
  v: ({ value }) => value,
  s: ({ value }) => String(value.length),
  "%": () => "%",
};
const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", "\\": "\\" };

function custom(format: string): RecordPrinter {
  if (!format.includes("%")) {
    throw misuse(`--format is json, raw, hex or text with % in it, not "${format}"`);
  }
  const parts: Part[] = [];
  for (const [whole, letter, escaped] of format.matchAll(/%([\s\S]?)|\\([\s\S]?)|[^%\\]+/g)) {
    if (letter !== undefined) {
      const part = letters[letter];
      if (part === undefined) throw misuse(`--format knows %o %t %k %v %s %%, not %${letter}`);
      parts.push(part);
    } else if (escaped !== undefined) {
      const text = escapes[escaped];
      if (text === undefined) throw misuse(`--format knows \\n, \\t and \\\\, not \\${escaped}`);
      parts.push(() => text);
    } else parts.push(() => whole);
  }
  return (record) => Buffer.concat(parts.map((part) => toBytes(part(record))));
}

const toBytes = (piece: string | Uint8Array): Uint8Array =>
  typeof piece === "string" ? Buffer.from(piece) : piece;
