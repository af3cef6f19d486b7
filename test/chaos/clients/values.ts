/**
 * The value of a record in the run: its unique name, and filler derived from the name, so that a changed byte is detected.
 */
import { crc32 } from "node:zlib";

const fillerMax = 256;

/** The value of the record of this name, 1 to about 280 bytes. */
export function bodyOf(name: string): string {
  const sum = crc32(name);
  return `${name}|${String.fromCharCode(97 + (sum % 26)).repeat((sum >>> 8) % fillerMax)}`;
}

/** The name in a value. For a damaged value: a name that no client appended. */
export function nameIn(value: string): string {
  const end = value.indexOf("|");
  const name = value.slice(0, Math.max(0, end));
  return value === bodyOf(name) ? name : `damaged ${value}`;
}
