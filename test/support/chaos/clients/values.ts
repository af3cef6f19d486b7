/**
 * What a record of the run carries: its name, and filler that follows from it, so that a single changed byte shows.
 *
 * Never: the same twice for different names.
 */
import { crc32 } from "node:zlib";

const fillerMost = 256;

/** The value of the record of this name, 1 to about 280 bytes. */
export function bodyOf(name: string): string {
  const sum = crc32(name);
  return `${name}|${String.fromCharCode(97 + (sum % 26)).repeat((sum >>> 8) % fillerMost)}`;
}

/** The name of the record that has this value; a damaged one is its own name, which nobody appended. */
export function nameIn(value: string): string {
  const end = value.indexOf("|");
  const name = value.slice(0, Math.max(0, end));
  return value === bodyOf(name) ? name : `damaged ${value}`;
}
