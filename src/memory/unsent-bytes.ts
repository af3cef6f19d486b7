/**
 * What a socket was given and has not taken yet, counted in the memory budget: buffers that other connections send as
 * well count once, what TLS makes of them counts for each. While memory is short, a connection whose bytes do not leave
 * is ended.
 */
import type { MemoryBudget } from "./memory-budget.ts";
import type { MemoryShare } from "./memory-share.ts";

/** TLS puts a write together, and encrypts it. */
const secureCopies = 2;

export interface UnsentOptions {
  /** Undefined: nothing is counted. */
  readonly memory: MemoryBudget | undefined;
  /** Bytes that the socket holds. */
  readonly pending: () => number;
  /** Bytes that were gathered for the socket and wait until it takes some. Default none. */
  readonly gathered?: () => number;
  readonly secure: boolean;
  /** Ends the connection. */
  readonly cut: () => void;
}

/** A piece that the socket was given. Its buffer is pinned; text has none. */
interface Given {
  readonly bytes: number;
  readonly buffer: ArrayBufferLike | undefined;
}

export class UnsentBytes {
  readonly #memory: MemoryBudget | undefined;
  readonly #pending: () => number;
  readonly #gathered: () => number;
  readonly #copies: number;
  readonly #share: MemoryShare | undefined;
  /** What the socket may still hold, the oldest first, and its bytes. */
  #given: Given[] = [];
  #givenBytes = 0;
  /** Counted besides the pinned buffers. */
  #copied = 0;
  #textBytes = 0;

  constructor({ memory, pending, gathered = () => 0, secure, cut }: UnsentOptions) {
    this.#memory = memory;
    this.#pending = pending;
    this.#gathered = gathered;
    this.#copies = secure ? secureCopies : 0;
    this.#share = memory?.share("out", () => {
      // A socket tells that it has room only after it had none.
      if (this.update() > 0) cut();
    });
  }

  /** The socket was given these. Text is no buffer that others could share: it counts by its length. */
  wrote(chunks: readonly (Uint8Array | string)[]): void {
    if (this.#share === undefined) return;
    if (this.#pending() === 0 && this.#given.length === 0 && this.#copied === 0) return;
    let written = 0;
    for (const chunk of chunks) {
      const buffer = typeof chunk === "string" ? undefined : chunk.buffer;
      if (buffer === undefined) this.#textBytes += chunk.length;
      else this.#memory?.pin(buffer);
      this.#given.push({ bytes: chunk.length, buffer });
      written += chunk.length;
    }
    this.#givenBytes += written;
    this.update(written);
  }

  /** The socket may have taken some, and was given `written` bytes more. Returns what it still holds, bytes. */
  update(written = 0): number {
    const share = this.#share;
    if (share === undefined) return 0;
    const bytes = this.#pending();
    const taken = share.bytes + written - bytes;
    if (taken > 0) share.progress(taken);
    if (bytes > share.bytes) share.expect(bytes - share.bytes);
    share.attribute(bytes);
    this.#release(bytes);
    const copied = bytes === 0 ? 0 : bytes * this.#copies + this.#textBytes + this.#gathered();
    this.#memory?.count("out", copied - this.#copied);
    this.#copied = copied;
    return bytes;
  }

  /** The connection is over. */
  close(): void {
    this.#share?.attribute(0);
    this.#release(0);
    this.#memory?.count("out", -this.#copied);
    this.#copied = 0;
  }

  /**
   * Lets go of all pieces but the newest ones that make up the `held` bytes. A connection that always has a little on its
   * way never says that it holds nothing.
   */
  #release(held: number): void {
    let gone = 0;
    for (const { bytes, buffer } of this.#given) {
      if (held > 0 && this.#givenBytes - bytes < held) break;
      this.#givenBytes -= bytes;
      if (buffer === undefined) this.#textBytes -= bytes;
      else this.#memory?.unpin(buffer);
      gone++;
    }
    if (gone > 0) this.#given.splice(0, gone);
  }
}
