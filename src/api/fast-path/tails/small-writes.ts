/**
 * Joins small pieces of a response into one write: each write is a DATA frame, which costs the server and the client several
 * microseconds. A large piece is written as it is, and so is a small one that is alone, because other streams may share it.
 */

/** A larger piece is not copied. */
const pieceBytesMax = 4 * 1024;
/** What is held until the next flush(). */
const joinedBytesMax = 16 * 1024;

export class SmallWrites {
  readonly #write: (bytes: Uint8Array) => boolean;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  /** `write` returns false if the stream must drain before the next write. */
  constructor(write: (bytes: Uint8Array) => boolean) {
    this.#write = write;
  }

  /** Writes the bytes now or at the next flush(). Returns false if the stream must drain before more is written. */
  write(bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true;
    if (bytes.length > pieceBytesMax) {
      this.flush();
      return this.#write(bytes);
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    return this.#heldBytes < joinedBytesMax || this.flush();
  }

  /** Writes what is held. Returns false if the stream must drain before more is written. */
  flush(): boolean {
    const [first] = this.#held;
    if (first === undefined) return true;
    const joined = this.#held.length === 1 ? first : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    return this.#write(joined);
  }
}
