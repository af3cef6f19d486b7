/**
 * CRC-32 (IEEE, as in zlib and gzip). It finds accidents, not forgeries. Short inputs use a slice-by-8 table, long ones
 * zlib: a call into zlib costs about 200 ns before the first byte, and both cost the same near 250 bytes.
 */
import { crc32 as zlibCrc32 } from "node:zlib";
import { crc32ByTable } from "./crc-table.ts";

const crossoverBytes = 250;

/** Returns the CRC of `bytes[start … end)`, unsigned. `before` is the CRC of the bytes before them, 0 for none. */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  if (end - start >= crossoverBytes) return zlibCrc32(bytes.subarray(start, end), before);
  return crc32ByTable(bytes, start, end, before);
}
