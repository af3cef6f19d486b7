/**
 * Decodes LZW as Go's compress/lzw writes it for memberlist: least significant bit first, 8-bit literals, codes of 9 to
 * 12 bits. Code 256 clears the table and 257 ends the data. There is no encoder: memberlist does not negotiate
 * compression and enables it by default, so a member must read it but need not send it.
 */
import { malformed } from "./msgpack-reader.ts";

const clear = 256;
const end = 257;
const widthMax = 12;

/**
 * Returns the decompressed bytes.
 * @throws Fault "bad-request" for a bad code, or for more than `bytesMax` bytes of output
 */
export function lzwDecode(input: Uint8Array, bytesMax: number): Buffer {
  const prefix = new Uint16Array(1 << widthMax);
  const suffix = new Uint8Array(1 << widthMax);
  const lengths = new Uint16Array(1 << widthMax).fill(1, 0, clear);
  let output = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(256, input.length * 4)));
  let length = 0;
  let [bits, bitCount, at] = [0, 0, 0];
  let [width, high, last] = [9, end, -1];

  const reserve = (more: number): void => {
    if (length + more > bytesMax) throw malformed("it decompresses to more than the limit");
    if (length + more <= output.length) return;
    const grown = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(output.length * 2, length + more)));
    output.copy(grown, 0, 0, length);
    output = grown;
  };
  /** Writes the string of a code, from its end backwards. */
  const expand = (code: number): void => {
    const size = lengths[code] as number;
    reserve(size);
    let place = length + size;
    let current = code;
    while (current > end) {
      output[--place] = suffix[current] as number;
      current = prefix[current] as number;
    }
    output[--place] = current;
    length += size;
  };

  for (;;) {
    while (bitCount < width) {
      if (at >= input.length) throw malformed("its compressed part is truncated");
      bits |= (input[at++] as number) << bitCount;
      bitCount += 8;
    }
    const code = bits & ((1 << width) - 1);
    bits >>>= width;
    bitCount -= width;
    if (code === end) return output.subarray(0, length);
    if (code === clear) {
      [width, high, last] = [9, end, -1];
      continue;
    }
    if (code > high) throw malformed("its compressed part is corrupt");
    if (last >= 0 && high > end) {
      // The new entry is the previous string plus the first byte of this one. This code may be the new entry itself.
      prefix[high] = last;
      lengths[high] = (lengths[last] as number) + 1;
      suffix[high] = firstByte(prefix, code === high ? last : code);
    }
    expand(code);
    last = code;
    high++;
    if (high === 1 << width) {
      if (width < widthMax) width++;
      else {
        // The table is full. No entry is added until a clear code.
        high--;
        last = -1;
      }
    }
  }
}

function firstByte(prefix: Uint16Array, code: number): number {
  let current = code;
  while (current > end) current = prefix[current] as number;
  return current;
}
