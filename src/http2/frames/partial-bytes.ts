/**
 * The beginning of a frame whose rest has not arrived. Grows by doubling, so that a frame that comes byte by byte is
 * copied a constant number of times, and holds at most twice what arrived.
 */
const smallest = 64;

export class PartialBytes {
  #room: Buffer = Buffer.alloc(0);
  #bytes = 0;

  get length(): number {
    return this.#bytes;
  }

  /** What arrived so far; valid until the next add(). */
  get view(): Buffer {
    return this.#room.subarray(0, this.#bytes);
  }

  add(part: Uint8Array): void {
    const total = this.#bytes + part.length;
    if (total > this.#room.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(smallest, this.#room.length * 2, total));
      room.set(this.view);
      this.#room = room;
    }
    this.#room.set(part, this.#bytes);
    this.#bytes = total;
  }

  /** Hands out what arrived and is empty. The bytes are the caller's. */
  take(): Buffer {
    const { view } = this;
    this.#room = Buffer.alloc(0);
    this.#bytes = 0;
    return view;
  }
}
