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

export class UnsentBytes {
  readonly #memory: MemoryBudget | undefined;
  readonly #pending: () => number;
  readonly #gathered: () => number;
  readonly #copies: number;
  readonly #share: MemoryShare | undefined;
  #pinned: ArrayBufferLike[] = [];
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
    const { length } = this.#pinned;
    if (this.#share === undefined || (this.#pending() === 0 && length === 0 && this.#copied === 0)) return;
    for (const chunk of chunks) {
      if (typeof chunk === "string") {
        this.#textBytes += chunk.length;
      } else {
        this.#pinned.push(chunk.buffer);
        this.#memory?.pin(chunk.buffer);
      }
    }
    this.update();
  }

  /** The socket took some, perhaps. Answers what it still holds, bytes. */
  update(): number {
    const share = this.#share;
    if (share === undefined) return 0;
    const bytes = this.#pending();
    if (bytes < share.bytes) share.progress(share.bytes - bytes);
    else if (bytes > share.bytes) share.expect(bytes - share.bytes);
    share.attribute(bytes);
    if (bytes === 0) this.#forget();
    const copied = bytes === 0 ? 0 : bytes * this.#copies + this.#textBytes + this.#gathered();
    this.#memory?.count("out", copied - this.#copied);
    this.#copied = copied;
    return bytes;
  }

  /** The connection is over. */
  close(): void {
    this.#share?.attribute(0);
    this.#forget();
    this.#memory?.count("out", -this.#copied);
    this.#copied = 0;
  }

  #forget(): void {
    for (const buffer of this.#pinned) this.#memory?.unpin(buffer);
    this.#pinned = [];
    this.#textBytes = 0;
  }
}
