/**
 * Counts in the memory budget what was written to a socket and has not left yet. A buffer that several connections send
 * counts once; the copies that TLS makes count for each. While memory is short, a connection whose bytes do not leave is
 * ended.
 */
import type { MemoryBudget } from "./memory-budget.ts";
import type { MemoryShare } from "./memory-share.ts";

/** TLS joins the pieces of a write, and encrypts them. */
const secureCopies = 2;

export interface UnsentOptions {
  /** Undefined: nothing is counted. */
  readonly memory: MemoryBudget | undefined;
  /** Bytes that the socket holds now. */
  readonly pending: () => number;
  /** Bytes that wait outside the socket until it takes more. Default 0. */
  readonly gathered?: () => number;
  /** The socket encrypts. */
  readonly secure: boolean;
  /** Ends the connection. */
  readonly end: () => void;
}

/** A piece that was written to the socket. Its buffer is pinned; text has none. */
interface Written {
  readonly bytes: number;
  readonly buffer: ArrayBufferLike | undefined;
}

export class UnsentBytes {
  readonly #memory: MemoryBudget | undefined;
  readonly #pending: () => number;
  readonly #gathered: () => number;
  readonly #copies: number;
  readonly #share: MemoryShare | undefined;
  /** What the socket may still hold, the oldest first. */
  #written: Written[] = [];
  #writtenBytes = 0;
  /** Bytes that are counted in addition to the pinned buffers. */
  #copied = 0;
  #textBytes = 0;

  constructor({ memory, pending, gathered = () => 0, secure, end }: UnsentOptions) {
    this.#memory = memory;
    this.#pending = pending;
    this.#gathered = gathered;
    this.#copies = secure ? secureCopies : 0;
    this.#share = memory?.share("out", () => {
      // A socket reports progress only after it was full, so look again first.
      if (this.update() > 0) end();
    });
  }

  /** Notes what was written to the socket. Text counts by its length. */
  wrote(chunks: readonly (Uint8Array | string)[]): void {
    if (this.#share === undefined) return;
    if (this.#pending() === 0 && this.#written.length === 0 && this.#copied === 0) return;
    let written = 0;
    for (const chunk of chunks) {
      const buffer = typeof chunk === "string" ? undefined : chunk.buffer;
      if (buffer === undefined) this.#textBytes += chunk.length;
      else this.#memory?.pin(buffer);
      this.#written.push({ bytes: chunk.length, buffer });
      written += chunk.length;
    }
    this.#writtenBytes += written;
    this.update(written);
  }

  /** Compares with the socket, after `written` bytes more were written. Returns how many bytes it holds. */
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
   * Releases all pieces except the newest ones, which make up `heldBytes`. It is not enough to release them when
   * the socket is empty: a busy connection always holds a little.
   */
  #release(heldBytes: number): void {
    let released = 0;
    for (const { bytes, buffer } of this.#written) {
      if (heldBytes > 0 && this.#writtenBytes - bytes < heldBytes) break;
      this.#writtenBytes -= bytes;
      if (buffer === undefined) this.#textBytes -= bytes;
      else this.#memory?.unpin(buffer);
      released++;
    }
    if (released > 0) this.#written.splice(0, released);
  }
}
