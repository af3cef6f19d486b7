/**
 * What a connection sends in one turn, gathered: small frames are copied next to each other, large payloads are sent
 * as they are. Pure but for the memory it fills.
 *
 * Never: writes over bytes that were handed out.
 */

const slabBytes = 16 * 1024;
/** Payloads from here on are not worth copying. */
const copyBytesMax = 2048;

export class OutBuffer {
  #slab = Buffer.allocUnsafeSlow(0);
  /** Of the slab: what is handed out ends at `#from`, what is gathered at `#to`. */
  #from = 0;
  #to = 0;
  #chunks: Uint8Array[] = [];
  /** Gathered and not yet handed out. */
  bytes = 0;

  /** Room for so many bytes, at most a slab's half; the caller fills it whole at the answered place of `target`. */
  reserve(bytes: number): number {
    if (this.#to + bytes > this.#slab.length) {
      this.#closeRun();
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += bytes;
    this.bytes += bytes;
    return at;
  }

  /** Where reserve() reserves. */
  get target(): Buffer {
    return this.#slab;
  }

  /** Adds bytes behind what was gathered. They must not change until they are sent. */
  add(payload: Uint8Array): void {
    if (payload.length <= copyBytesMax) {
      const at = this.reserve(payload.length);
      this.#slab.set(payload, at);
      return;
    }
    this.#closeRun();
    this.#chunks.push(payload);
    this.bytes += payload.length;
  }

  /** Hands everything out. */
  take(): readonly Uint8Array[] {
    this.#closeRun();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.bytes = 0;
    return chunks;
  }

  #closeRun(): void {
    if (this.#to > this.#from) this.#chunks.push(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
