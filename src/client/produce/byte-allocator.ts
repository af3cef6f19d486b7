/**
 * Small pieces of memory cut from large ones: an ArrayBuffer of its own for each record costs more than the record.
 * A slab is freed when the last of its pieces is.
 *
 * Never: hands out the same bytes twice.
 */
import { assert } from "../../lib/assert.ts";

const slabBytes = 64 * 1024;
/** Larger pieces get memory of their own, so that a slab is not held for one of them. */
const pieceBytesMax = 4 * 1024;

let slab = new Uint8Array(0);
let used = 0;

/** Zeroed bytes that no other caller has. */
export function allocateBytes(length: number): Uint8Array {
  assert(Number.isSafeInteger(length) && length >= 0, "a number of bytes");
  if (length > pieceBytesMax) return new Uint8Array(length);
  if (used + length > slab.length) {
    slab = new Uint8Array(slabBytes);
    used = 0;
  }
  used += length;
  return slab.subarray(used - length, used);
}

/** A copy that nobody else has. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = allocateBytes(bytes.length);
  copy.set(bytes);
  return copy;
}
