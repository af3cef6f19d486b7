/**
 * Text of others on a terminal. A record, a name or an error of a server may hold escape sequences, which a terminal
 * would obey: they could hide lines, change the title or answer for the user. On a terminal they are shown instead.
 */

/** Control, format and other invisible characters, line ends and tabs aside. */
const invisible = /[^\P{C}\n\t]/gu;

const codeOf = (character: string): string => character.codePointAt(0)?.toString(16) ?? "";

/** The text with what a terminal would obey spelled out: `\u{1b}`. Line ends and tabs stay. */
export const printable = (text: string): string =>
  text.replace(invisible, (character) => `\\u{${codeOf(character)}}`);

/** JSON text that means the same, with what a terminal would obey as JSON escapes. */
export const printableJson = (json: string): string =>
  json.replace(invisible, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join(""),
  );

/** An object as one line of JSON, safe for a terminal. */
export const jsonLine = (object: unknown): string => `${printableJson(JSON.stringify(object))}\n`;

const decoder = new TextDecoder();

/** Bytes as printable text; malformed UTF-8 is shown as the replacement character. */
export const printableBytes = (bytes: Uint8Array): string => printable(decoder.decode(bytes));
