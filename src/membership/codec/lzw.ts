/**
 * Decodes LZW as Go's compress/lzw writes it for memberlist: least significant bit first, 8-bit literals, codes of 9 to
 * 12 bits. Code 256 clears the table and 257 ends the data. There is no encoder: memberlist does not negotiate
 * compression and enables it by default, so a member must read it but need not send it.
 */
import { malformed } from "./msgpack-reader.ts";

const clear = 256;
const end = 257;
const widthMin = 9;
const widthMax = 12;

/**
 * Returns the decompressed bytes.
 * @throws Fault "bad-request" for a bad code, or for more than `bytesMax` bytes of output
 */
export function lzwDecode(input: Uint8Array, bytesMax: number): Buffer {
  return new LzwDecoder(input, bytesMax).decode();
}

class LzwDecoder {
  readonly #input: Uint8Array;
  readonly #bytesMax: number;
  #position = 0;
  #bits = 0;
  #bitCount = 0;
  #output: Buffer;
  #length = 0;
  /** The table: an entry is the string of its prefix code and a last byte. */
  readonly #prefixes = new Uint16Array(1 << widthMax);
  readonly #suffixes = new Uint8Array(1 << widthMax);
  readonly #lengths = new Uint16Array(1 << widthMax).fill(1, 0, clear);
  #width = widthMin;
  /** The largest code that can come next. */
  #high = end;
  /** The previous code, or −1 if the next one adds no entry. */
  #previous = -1;

  constructor(input: Uint8Array, bytesMax: number) {
    this.#input = input;
    this.#bytesMax = bytesMax;
    this.#output = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(256, input.length * 4)));
  }

  decode(): Buffer {
    for (let code = this.#readCode(); code !== end; code = this.#readCode()) {
      if (code === clear) {
        this.#width = widthMin;
        this.#high = end;
        this.#previous = -1;
        continue;
      }
      if (code > this.#high) throw malformed("its compressed part is corrupt");
      if (this.#previous >= 0 && this.#high > end) this.#addEntry(code);
      this.#writeString(code);
      this.#previous = code;
      this.#advance();
    }
    return this.#output.subarray(0, this.#length);
  }

  #readCode(): number {
    while (this.#bitCount < this.#width) {
      if (this.#position >= this.#input.length) throw malformed("its compressed part is truncated");
      this.#bits |= (this.#input[this.#position++] as number) << this.#bitCount;
      this.#bitCount += 8;
    }
    const code = this.#bits & ((1 << this.#width) - 1);
    this.#bits >>>= this.#width;
    this.#bitCount -= this.#width;
    return code;
  }

  /** Adds the previous string plus the first byte of this one. `code` may be the new entry itself. */
  #addEntry(code: number): void {
    const high = this.#high;
    this.#prefixes[high] = this.#previous;
    this.#lengths[high] = (this.#lengths[this.#previous] as number) + 1;
    this.#suffixes[high] = this.#firstByte(code === high ? this.#previous : code);
  }

  #firstByte(code: number): number {
    let current = code;
    while (current > end) current = this.#prefixes[current] as number;
    return current;
  }

  /** Writes the string of a code, from its end backwards. */
  #writeString(code: number): void {
    const size = this.#lengths[code] as number;
    this.#reserve(size);
    let place = this.#length + size;
    let current = code;
    while (current > end) {
      this.#output[--place] = this.#suffixes[current] as number;
      current = this.#prefixes[current] as number;
    }
    this.#output[--place] = current;
    this.#length += size;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed > this.#bytesMax) throw malformed("it decompresses to more than the limit");
    if (needed <= this.#output.length) return;
    const grown = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(this.#output.length * 2, needed)));
    this.#output.copy(grown, 0, 0, this.#length);
    this.#output = grown;
  }

  /** Goes to the next entry, with longer codes if they are needed. A full table gets no entry until a clear code. */
  #advance(): void {
    this.#high++;
    if (this.#high !== 1 << this.#width) return;
    if (this.#width < widthMax) this.#width++;
    else {
      this.#high--;
      this.#previous = -1;
    }
  }
}
