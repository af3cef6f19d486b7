/**
 * Encodes the old msgpack dialect of memberlist and Serf: strings and bytes are both "raw" (fixraw, raw16, raw32),
 * integers take their shortest unsigned form, and there is no str8 and no bin.
 */
import { assert } from "../../lib/assert.ts";

/** Builds one message. Each method returns the writer itself. */
export class MsgpackWriter {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  /** Writes the header of a map. `count` pairs of keys and values must follow. */
  map(count: number): this {
    assert(count < 0x1_0000);
    return count < 16 ? this.#byte(0x80 | count) : this.#byte(0xde).#u16(count);
  }

  array(count: number): this {
    assert(count < 0x1_0000);
    return count < 16 ? this.#byte(0x90 | count) : this.#byte(0xdc).#u16(count);
  }

  text(value: string): this {
    return this.raw(Buffer.from(value, "utf8"));
  }

  raw(value: Uint8Array): this {
    if (value.length < 32) this.#byte(0xa0 | value.length);
    else if (value.length < 0x1_0000) this.#byte(0xda).#u16(value.length);
    else this.#byte(0xdb).#u32(value.length);
    return this.append(value);
  }

  /** Writes an integer from 0 to 2^53−1. */
  uint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0);
    if (value < 0x80) return this.#byte(value);
    if (value < 0x100) return this.#byte(0xcc).#byte(value);
    if (value < 0x1_0000) return this.#byte(0xcd).#u16(value);
    if (value < 0x1_0000_0000) return this.#byte(0xce).#u32(value);
    return this.#byte(0xcf)
      .#u32(Math.floor(value / 0x1_0000_0000))
      .#u32(value % 0x1_0000_0000);
  }

  bool(value: boolean): this {
    return this.#byte(value ? 0xc3 : 0xc2);
  }

  nil(): this {
    return this.#byte(0xc0);
  }

  /** Writes bytes without a header: what follows a message. */
  append(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  byte(value: number): this {
    return this.#byte(value);
  }

  /** Returns what was written. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #byte(value: number): this {
    this.#reserve(1);
    this.#length = this.#bytes.writeUInt8(value, this.#length);
    return this;
  }

  #u16(value: number): this {
    this.#reserve(2);
    this.#length = this.#bytes.writeUInt16BE(value, this.#length);
    return this;
  }

  #u32(value: number): this {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32BE(value, this.#length);
    return this;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
