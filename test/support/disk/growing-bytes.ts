/** A byte array that grows. Unwritten bytes are zero. */

/** A write at a position, or a new length. */
export type Change =
  | { readonly position: number; readonly bytes: Uint8Array }
  | { readonly truncate: number };

export class GrowingBytes {
  length = 0;
  #buffer = new Uint8Array(0);

  apply(change: Change): void {
    if ("truncate" in change) this.#resize(change.truncate);
    else if (change.bytes.length > 0) {
      this.#resize(Math.max(this.length, change.position + change.bytes.length));
      this.#buffer.set(change.bytes, change.position);
    }
  }

  read(target: Uint8Array, position: number): number {
    const part = this.#buffer.subarray(position, Math.min(this.length, position + target.length));
    target.set(part);
    return part.length;
  }

  flip(bit: number): void {
    if (bit >> 3 < this.length) this.#buffer[bit >> 3]! ^= 1 << (bit & 7);
  }

  copy(): Uint8Array {
    return this.#buffer.slice(0, this.length);
  }

  clone(): GrowingBytes {
    const copy = new GrowingBytes();
    copy.apply({ position: 0, bytes: this.copy() });
    return copy;
  }

  #resize(length: number): void {
    if (length < this.length) this.#buffer.fill(0, length, this.length);
    if (length > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(length, this.#buffer.length * 2, 256));
      buffer.set(this.#buffer);
      this.#buffer = buffer;
    }
    this.length = length;
  }
}
