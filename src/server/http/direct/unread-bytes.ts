/**
 * The bytes of a connection that are received and not read: an incomplete head, or requests that wait. They count in the
 * memory budget, which may end a connection that holds them for long.
 */
import type { MemoryBudget, MemoryShare } from "../../../memory/mod.ts";

/** Fewer bytes are part of the fixed cost of a connection. */
const countedBytesMin = 4 * 1024;
const none: Buffer = Buffer.alloc(0);

export class UnreadBytes {
  readonly #share: MemoryShare | undefined;
  #bytes: Buffer = none;

  /** `evict` ends the connection. */
  constructor(memory: MemoryBudget | undefined, evict: () => void) {
    this.#share = memory?.share("in", evict);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Replaces the bytes. A small part of a large buffer is copied, because it would keep the whole buffer in memory. */
  keep(bytes: Buffer): void {
    this.#bytes = bytes.length < bytes.buffer.byteLength / 2 ? copyOf(bytes) : bytes;
    this.#share?.count(bytes.length < countedBytesMin ? 0 : bytes.length);
  }

  /** Removes and returns the bytes. */
  take(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = none;
    this.#share?.count(0);
    return bytes;
  }

  /** Removes the bytes, and returns them with `chunk` at their end. */
  takeWith(chunk: Buffer): Buffer {
    return this.#bytes.length === 0 ? chunk : Buffer.concat([this.take(), chunk]);
  }
}

/** Not in the pool of Node.js, whose buffers are shared. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
