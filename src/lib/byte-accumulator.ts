/**
 * Joins bytes that arrive in parts. The buffer doubles when it grows: bytes that arrive one by one are copied a constant
 * number of times, and at most twice the received bytes are allocated.
 */
const bytesMin = 64;

export class ByteAccumulator {
  #buffer: Buffer = Buffer.alloc(0);
  #bytes = 0;

  get length(): number {
    return this.#bytes;
  }

  /** Allocated memory in bytes. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /** The bytes so far, valid until the next add(). */
  get view(): Buffer {
    return this.#buffer.subarray(0, this.#bytes);
  }

  add(part: Uint8Array): void {
    const total = this.#bytes + part.length;
    this.reserve(total);
    this.#buffer.set(part, this.#bytes);
    this.#bytes = total;
  }

  /** Allocates memory for `total` bytes, or for twice as many as before if that is more. */
  reserve(total: number): void {
    if (total <= this.#buffer.length) return;
    const buffer = Buffer.allocUnsafeSlow(Math.max(bytesMin, this.#buffer.length * 2, total));
    buffer.set(this.view);
    this.#buffer = buffer;
  }

  /** Returns the bytes, which the caller owns, and is empty afterwards. */
  take(): Buffer {
    const { view } = this;
    this.#buffer = Buffer.alloc(0);
    this.#bytes = 0;
    return view;
  }
}
