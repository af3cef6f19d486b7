/**
 * Collects the chunks of a body. A body of one chunk is not copied. No object is kept for a chunk, so a body that arrives
 * byte by byte takes at most twice its length in memory.
 */
import { ByteAccumulator } from "../../lib/byte-accumulator.ts";

export class GatheredBytes {
  readonly #joined = new ByteAccumulator();
  /** The only chunk so far, which is not copied. */
  #only: Uint8Array | undefined;

  get length(): number {
    return this.#only?.length ?? this.#joined.length;
  }

  /** Allocated memory in bytes. */
  get capacity(): number {
    return this.#only?.length ?? this.#joined.capacity;
  }

  /** Adds a chunk. `bytes` must not change before take(). */
  add(bytes: Uint8Array): void {
    if (this.length === 0) {
      this.#only = bytes;
      return;
    }
    if (this.#only !== undefined) {
      this.#joined.reserve(this.#only.length + bytes.length);
      this.#joined.add(this.#only);
      this.#only = undefined;
    }
    this.#joined.add(bytes);
  }

  /** Returns all bytes. The collection is empty then. */
  take(): Buffer {
    const only = this.#only;
    if (only === undefined) return this.#joined.take();
    this.#only = undefined;
    return Buffer.from(only.buffer, only.byteOffset, only.length);
  }
}
