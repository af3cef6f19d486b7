/**
 * Collects bytes that arrive in chunks. Growth by doubling copies each byte about once, and no object is kept for a
 * chunk: a body that arrives byte by byte needs no more memory than its length.
 */

const empty: Buffer = Buffer.alloc(0);

export class GatheredBytes {
  #buffer: Buffer = empty;
  #length = 0;
  /** The only chunk so far, which is not copied. */
  #only: Uint8Array | undefined;

  get length(): number {
    return this.#length;
  }

  /** Allocated memory in bytes. */
  get capacity(): number {
    return this.#only?.length ?? this.#buffer.length;
  }

  /** Adds a chunk. `bytes` must not change before take(). */
  add(bytes: Uint8Array): void {
    if (this.#length === 0) this.#only = bytes;
    else {
      this.#reserve(this.#length + bytes.length);
      if (this.#only !== undefined) this.#buffer.set(this.#only, 0);
      this.#only = undefined;
      this.#buffer.set(bytes, this.#length);
    }
    this.#length += bytes.length;
  }

  /** Returns all bytes. The collection is empty then. */
  take(): Buffer {
    const only = this.#only;
    const bytes =
      only === undefined
        ? this.#buffer.subarray(0, this.#length)
        : Buffer.from(only.buffer, only.byteOffset, only.length);
    this.#buffer = empty;
    this.#length = 0;
    this.#only = undefined;
    return bytes;
  }

  #reserve(total: number): void {
    if (total <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(total, this.#buffer.length * 2, 1024));
    larger.set(this.#buffer.subarray(0, this.#length), 0);
    this.#buffer = larger;
  }
}
