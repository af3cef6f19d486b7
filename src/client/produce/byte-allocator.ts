/**
 * Allocates small byte arrays from larger chunks, because an ArrayBuffer for each record costs more than the record. A
 * chunk is freed when all arrays in it are.
 */
import { assert } from "../../lib/assert.ts";

const chunkBytes = 64 * 1024;
/** Larger arrays get memory of their own, so that they do not keep a chunk alive. */
const smallBytesMax = 4 * 1024;

let chunk = new Uint8Array(0);
let used = 0;

/** Returns zeroed bytes that are not shared with any other caller. */
export function allocateBytes(length: number): Uint8Array {
  assert(Number.isSafeInteger(length) && length >= 0, "a number of bytes");
  if (length > smallBytesMax) return new Uint8Array(length);
  if (used + length > chunk.length) {
    chunk = new Uint8Array(chunkBytes);
    used = 0;
  }
  used += length;
  return chunk.subarray(used - length, used);
}

/** Returns a copy in memory of its own. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = allocateBytes(bytes.length);
  copy.set(bytes);
  return copy;
}
