/**
 * The media types of logs (RFC 9110 §8.3.1). Pure.
 *
 *   type := token "/" token *( ";" token "=" ( token | quoted ) )        spaces are allowed around ";"
 *
 * A comma is not allowed, also not quoted: a browser takes the last of several types that are separated by commas.
 */

/** Longest media type. */
export const mediaTypeCharsMax = 255;

const token = "[\\w!#$%&'*+.^`|~-]+";
const grammar = new RegExp(`^(${token}/${token})(?: *; *${token}=(?:${token}|"[^"\\\\,]*"))*$`);

/** Returns the type without its parameters, in lower case; undefined for a text that is no media type. */
export function mediaTypeOf(text: string): string | undefined {
  if (text.length > mediaTypeCharsMax || !/^[\x20-\x7e]*$/.test(text)) return undefined;
  return grammar.exec(text)?.[1]?.toLowerCase();
}
