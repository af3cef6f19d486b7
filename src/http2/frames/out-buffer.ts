/**
 * Gathers what a connection sends in one turn of the event loop. Small frames are copied next to each other; large
 * payloads are passed on without a copy. Bytes that were taken are never overwritten.
 */

const blockBytes = 16 * 1024;
/** Larger payloads are not copied. */
const copyBytesMax = 2048;

export class OutBuffer {
  #block = Buffer.allocUnsafeSlow(0);
  /** In #block: bytes before #from were passed on, bytes before #to are written. */
  #from = 0;
  #to = 0;
  #chunks: Uint8Array[] = [];
  /** Bytes that were gathered since the last take(). */
  bytes = 0;

  /**
   * Reserves bytes, at most half a block (8 KiB). Returns their position in `target`; the caller must fill all of them.
   */
  reserve(bytes: number): number {
    if (this.#to + bytes > this.#block.length) {
      this.#closeRun();
      this.#block = Buffer.allocUnsafeSlow(blockBytes);
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += bytes;
    this.bytes += bytes;
    return at;
  }

  /** The memory in which reserve() reserves. */
  get target(): Buffer {
    return this.#block;
  }

  /** Appends bytes. They must not change until they are sent. */
  add(payload: Uint8Array): void {
    if (payload.length <= copyBytesMax) {
      const at = this.reserve(payload.length);
      this.#block.set(payload, at);
      return;
    }
    this.#closeRun();
    this.#chunks.push(payload);
    this.bytes += payload.length;
  }

  /** Returns everything that was gathered, in order, and is empty afterwards. */
  take(): readonly Uint8Array[] {
    this.#closeRun();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.bytes = 0;
    return chunks;
  }

  #closeRun(): void {
    if (this.#to > this.#from) this.#chunks.push(this.#block.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
