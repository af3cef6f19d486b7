/**
 * Makes text safe for a terminal. Records, names and errors of a server can contain escape sequences that hide lines, change
 * the title or type for the user. On a terminal they are shown as text.
 */

/** Control, format and other invisible characters, except line ends and tabs. */
const invisible = /[^\P{C}\n\t]/gu;

const codeOf = (character: string): string => character.codePointAt(0)?.toString(16) ?? "";

/** Replaces invisible characters with escapes such as `\u{1b}`. Line ends and tabs stay. */
export const printable = (text: string): string =>
  text.replace(invisible, (character) => `\\u{${codeOf(character)}}`);

/** Replaces invisible characters in JSON text with JSON escapes. The value stays the same. */
export const printableJson = (json: string): string =>
  json.replace(invisible, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join(""),
  );

/** Formats an object as one line of JSON that is safe for a terminal. */
export const jsonLine = (object: unknown): string => `${printableJson(JSON.stringify(object))}\n`;

const decoder = new TextDecoder();

/** Decodes bytes to printable text. Malformed UTF-8 becomes the replacement character. */
export const printableBytes = (bytes: Uint8Array): string => printable(decoder.decode(bytes));
