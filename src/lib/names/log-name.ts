/**
 * The names of logs. Pure.
 *
 *   name := 1 to 255 bytes of UTF-8 in the normal form C, without control characters and without any of * ? [ ] { } \
 *           element *( "/" element ), where no element is empty, "." or ".."; a "_" at the start is reserved
 *
 * A new log has a name in which all characters are visible, too: new-name.ts. Names are compared as bytes. The empty name and `default` are the log that every cluster has.
 */
import { Fault } from "../../fault.ts";

/** The log that every cluster has. */
export const defaultLog = "default";

/** Longest name, in bytes of UTF-8. */
const nameBytesMax = 255;

/**
 * Returns the name of a named log, or undefined for the log `default`.
 * @throws Fault "bad-request" that says what is wrong with the name
 */
export function namedLogOf(name: string, field = "log"): string | undefined {
  if (name === "" || name === defaultLog) return undefined;
  const flaw = nameFlawOf(name);
  if (flaw === undefined) return name;
  throw new Fault("bad-request", { message: `the name of a log ${flaw}`, facts: { field } });
}

/** The log that holds the keys and the revocations of tokens (src/tokens). */
export const tokensLog = "_tokens";

/** Returns whether this is a name of the cluster's own logs, which no client can use. */
export const isReservedName = (name: string): boolean => name.startsWith("_");

/** Returns what is wrong with a name that is not empty. */
export function nameFlawOf(name: string, bytesMax = nameBytesMax): string | undefined {
  if (!name.isWellFormed()) return "is not valid UTF-8";
  const size = Buffer.byteLength(name);
  if (size > bytesMax) return `has at most ${bytesMax} bytes, this one has ${size}`;
  const control = /\p{Cc}/u.exec(name);
  if (control !== null) return `has no control characters, found ${codePointOf(control[0])}`;
  const wildcard = /[*?[\]{}\\]/.exec(name);
  if (wildcard !== null) return `has none of *?[]{}\\, found "${wildcard[0]}"`;
  if (name.startsWith("/") || name.endsWith("/")) return 'does not begin or end with "/"';
  for (const element of name.split("/")) {
    if (element === "") return 'has no empty element between "/"';
    if (element === "." || element === "..") return `has no element "${element}"`;
  }
  if (isReservedName(name)) return 'does not begin with "_", that is reserved';
  const normal = name.normalize("NFC");
  return normal === name ? undefined : `is in the normal form C, this one would be "${normal}"`;
}

/** Returns a character as `U+200B`. */
export const codePointOf = (character: string): string =>
  `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
