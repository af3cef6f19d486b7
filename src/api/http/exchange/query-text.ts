/**
 * Checks that the query of a request is text: percent-encoded UTF-8, in ASCII. URLSearchParams replaces every other byte by
 * U+FFFD without a word, and then a name would mean another log.
 */
import { isUtf8 } from "node:buffer";
import { Fault } from "../../../fault.ts";
import { quoted } from "./exchange.ts";

/** What only a query has that may be no text. Most queries have none of it. */
const suspect = /[^\x21-\x7e]|%[89a-f]/i;
/** Escapes in a row, and characters that must be escaped. A character of UTF-8 has only such escapes. */
const pieces = /(?:%[\da-f]{2})+|[^\x21-\x7e]/gi;

/** @throws Fault "bad-request" with the parameter and what was found in it */
export function checkQueryText(query: string): void {
  if (!suspect.test(query)) return;
  for (const parameter of query.split("&")) {
    const [name = ""] = parameter.split("=", 1);
    for (const piece of parameter.matchAll(pieces)) {
      const found = wrongIn(piece[0]);
      if (found === undefined) continue;
      const field = piece.index < name.length ? "a parameter" : quoted(name);
      throw new Fault("bad-request", {
        message: `${field} of the query must be percent-encoded UTF-8, found ${found}`,
        facts: { field },
      });
    }
  }
}

/** Returns what is wrong in a piece: the escapes of the first character that is none, or a byte without an escape. */
function wrongIn(piece: string): string | undefined {
  if (!piece.startsWith("%")) return `the byte 0x${piece.charCodeAt(0).toString(16).toUpperCase()}`;
  const bytes = Buffer.from(piece.replaceAll("%", ""), "hex");
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    end = Math.min(bytes.length, at + lengthOf(bytes[at]!));
    if (!isUtf8(bytes.subarray(at, end))) return piece.slice(3 * at, 3 * end);
  }
  return undefined;
}

/** How many bytes a character of UTF-8 has that begins with this one. */
function lengthOf(byte: number): number {
  if (byte < 0xc0) return 1;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 1;
}
