/**
 * Bytes that arrive in pieces, put together. One copy of each byte on the whole and no object per piece, so that a
 * body sent byte by byte costs no more memory than its length. Pure.
 */

const empty: Buffer = Buffer.alloc(0);

export class GatheredBytes {
  #room: Buffer = empty;
  #length = 0;
  /** The only piece so far, which is not copied. */
  #only: Uint8Array | undefined;

  get length(): number {
    return this.#length;
  }

  /** Memory that it takes, bytes. */
  get room(): number {
    return this.#only?.length ?? this.#room.length;
  }

  /** `bytes` must not change before take(). */
  add(bytes: Uint8Array): void {
    if (this.#length === 0) this.#only = bytes;
    else {
      this.#reserve(this.#length + bytes.length);
      if (this.#only !== undefined) this.#room.set(this.#only, 0);
      this.#only = undefined;
      this.#room.set(bytes, this.#length);
    }
    this.#length += bytes.length;
  }

  /** All of them; then there are none. */
  take(): Buffer {
    const only = this.#only;
    const bytes =
      only === undefined
        ? this.#room.subarray(0, this.#length)
        : Buffer.from(only.buffer, only.byteOffset, only.length);
    this.#room = empty;
    this.#length = 0;
    this.#only = undefined;
    return bytes;
  }

  #reserve(total: number): void {
    if (total <= this.#room.length) return;
    const room = Buffer.allocUnsafeSlow(Math.max(total, this.#room.length * 2, 1024));
    room.set(this.#room.subarray(0, this.#length), 0);
    this.#room = room;
  }
}
