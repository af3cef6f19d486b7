/**
 * Holds the first bytes of a frame until the rest arrives. The buffer doubles when it grows: a frame that arrives byte
 * by byte is copied a constant number of times, and at most twice the received bytes are allocated.
 */
const bytesMin = 64;

export class PartialBytes {
  #buffer: Buffer = Buffer.alloc(0);
  #bytes = 0;

  get length(): number {
    return this.#bytes;
  }

  /** The bytes so far, valid until the next add(). */
  get view(): Buffer {
    return this.#buffer.subarray(0, this.#bytes);
  }

  add(part: Uint8Array): void {
    const total = this.#bytes + part.length;
    if (total > this.#buffer.length) {
      const buffer = Buffer.allocUnsafeSlow(Math.max(bytesMin, this.#buffer.length * 2, total));
      buffer.set(this.view);
      this.#buffer = buffer;
    }
    this.#buffer.set(part, this.#bytes);
    this.#bytes = total;
  }

  /** Returns the bytes, which the caller owns, and is empty afterwards. */
  take(): Buffer {
    const { view } = this;
    this.#buffer = Buffer.alloc(0);
    this.#bytes = 0;
    return view;
  }
}
