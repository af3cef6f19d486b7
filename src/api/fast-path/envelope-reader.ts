/**
 * Splits a request body into messages (lib/envelope.ts). Chunks go in as they arrive, whole messages come out. A message
 * inside one chunk is not copied; a message that spans chunks is joined. The length of a message is checked before any
 * of it is kept, so a reader buffers at most one incomplete message of `messageBytesMax` bytes.
 */
import { readU32be } from "../../lib/bytes.ts";
import { envelopeBytes } from "../../lib/envelope.ts";
import type { MemoryShare } from "../../memory/mod.ts";
import { messageTooLarge } from "../request-limits/message-limits.ts";

const empty: Uint8Array = new Uint8Array(0);
/** A smaller part of a message is part of the fixed cost of its call. */
const countedBytesMin = 4 * 1024;
/** A join buffer is at most so many times as large as what has arrived: a length alone allocates nothing. */
const growth = 4;
/** A reader between messages keeps a join buffer of at most this size, in bytes. */
const keptBytesMax = 256 * 1024;

export class EnvelopeReader {
  /** The message found by take() is `bytes[start … end)`. It is valid until the next push(). */
  bytes: Uint8Array = empty;
  start = 0;
  end = 0;
  /** The flags byte of the message. */
  flags = 0;
  readonly #messageBytesMax: number;
  readonly #memory: MemoryShare;
  #at = 0;
  /** Bytes of the incomplete message with its envelope. 0: not known. */
  #wanted = 0;
  /** Messages that span chunks are joined here. `bytes` is then its filled part. */
  #joined: Uint8Array = empty;

  /** `memory` counts the join buffer, and the part of a message that is not in it. */
  constructor(messageBytesMax: number, memory: MemoryShare) {
    this.#messageBytesMax = messageBytesMax;
    this.#memory = memory;
  }

  /**
   * Adds a chunk. The caller must have taken all whole messages of the chunk before.
   * @throws Fault "overloaded" when the memory budget is too full for an incomplete message
   */
  push(chunk: Uint8Array): void {
    this.#memory.progress(chunk.length);
    const rest = this.bytes.length - this.#at;
    if (rest > 0) {
      this.#join(chunk, rest);
      return;
    }
    if (this.#joined.length > keptBytesMax) this.#release();
    this.bytes = chunk;
    this.#at = 0;
  }

  /**
   * Steps to the next whole message. Returns false if there is none yet.
   * @throws Fault "too-large" as soon as the length of the next message is known to exceed the limit
   * @throws Fault "overloaded" when the memory budget is too full for an incomplete message
   */
  take(): boolean {
    const { bytes } = this;
    const body = this.#at + envelopeBytes;
    this.#wanted = 0;
    if (body > bytes.length) {
      if (this.#at === bytes.length && this.#memory.tight) this.#release();
      return false;
    }
    const length = readU32be(bytes, this.#at + 1);
    if (length > this.#messageBytesMax) throw messageTooLarge(this.#messageBytesMax);
    if (body + length > bytes.length) {
      this.#wanted = envelopeBytes + length;
      if (bytes.buffer !== this.#joined.buffer) this.#holdPart();
      return false;
    }
    this.flags = bytes[this.#at] as number;
    this.start = body;
    this.end = body + length;
    this.#at = this.end;
    return true;
  }

  /** Bytes received of an incomplete message. */
  get pending(): number {
    return this.bytes.length - this.#at;
  }

  /** Counts the part of a message that the last chunk ends with. */
  #holdPart(): void {
    if (this.pending >= countedBytesMin) this.#memory.hold(this.#joined.length + this.pending);
  }

  /** Frees the join buffer. No message is incomplete. */
  #release(): void {
    this.#joined = empty;
    this.bytes = empty;
    this.#at = 0;
    this.#memory.hold(0);
  }

  /**
   * The buffer is reused, and grows by a factor, so each byte of many small chunks is copied a constant number of times. It is no
   * larger than a message that does not fit yet.
   */
  #join(chunk: Uint8Array, rest: number): void {
    const filled = this.bytes.length;
    const inPlace = this.bytes.buffer === this.#joined.buffer;
    if (inPlace && filled + chunk.length <= this.#joined.length) {
      this.#joined.set(chunk, filled);
      this.bytes = this.#joined.subarray(0, filled + chunk.length);
      return;
    }
    const total = rest + chunk.length;
    const left = this.bytes.subarray(this.#at);
    if (total > this.#joined.length) {
      const capacity =
        this.#wanted > total
          ? Math.min(this.#wanted, growth * total)
          : Math.min(total * 2, total + this.#messageBytesMax);
      this.#memory.hold(capacity);
      this.#joined = Buffer.allocUnsafeSlow(capacity);
    }
    this.#joined.set(left, 0);
    this.#joined.set(chunk, rest);
    this.#memory.hold(this.#joined.length);
    this.bytes = this.#joined.subarray(0, total);
    this.#at = 0;
  }
}
