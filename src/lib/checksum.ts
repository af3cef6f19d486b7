/**
 * CRC-32 (IEEE, as in zlib and gzip). Short inputs go through a slice-by-8 table, long ones through zlib: a call
 * into zlib costs some 200 ns before the first byte, and the two cross near 250 bytes.
 *
 * Never: is a defence against a forger.
 */
import { crc32 as zlibCrc32 } from "node:zlib";
import { crc32ByTable } from "./crc-table.ts";

const crossoverBytes = 250;

/** The CRC of `bytes[start … end)`, continuing from the CRC of what came before (0: nothing). Unsigned. */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  if (end - start >= crossoverBytes) return zlibCrc32(bytes.subarray(start, end), before);
  return crc32ByTable(bytes, start, end, before);
}
