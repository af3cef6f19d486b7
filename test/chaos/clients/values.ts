/**
 * The value of a record in the run: its unique name, and filler derived from the name, so that a changed byte is detected.
 */
import { crc32 } from "node:zlib";

const fillerMax = 256;
/** Names of records with larger values begin with this. */
export const largePrefix = "large";
const largeFillerMax = 8 * 1024;

/** The value of the record of this name, 1 to about 280 bytes; up to 8 KiB for a name with the prefix. */
export function bodyOf(name: string): string {
  const sum = crc32(name);
  const most = name.startsWith(largePrefix) ? largeFillerMax : fillerMax;
  return `${name}|${String.fromCharCode(97 + (sum % 26)).repeat((sum >>> 8) % most)}`;
}

/** The name in a value. For a damaged value: a name that no client appended. */
export function nameIn(value: string): string {
  const end = value.indexOf("|");
  const name = value.slice(0, Math.max(0, end));
  return value === bodyOf(name) ? name : `damaged ${value}`;
}
