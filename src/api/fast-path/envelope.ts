/**
 * Messages in a body: gRPC, gRPC-Web and streaming Connect all prefix each one with a flag byte and a length.
 *
 *   body := (flags:u8  length:u32be  message)*
 *
 * Push chunks in as they arrive, take whole messages out. What lies in one chunk is not copied; only a message
 * that spans chunks is put together. Pure.
 *
 * Never: decodes a message, holds more than one incomplete one (whose length was checked first).
 */
import { Fault } from "../../fault.ts";
import { readU32be } from "../../lib/bytes.ts";
import type { MemoryShare } from "../../memory/mod.ts";

export const envelopeBytes = 5;

/** Flag bits of an envelope. */
export const flag = { compressed: 1, endStream: 2, trailers: 0x80 } as const;

const empty: Uint8Array = new Uint8Array(0);

export class EnvelopeReader {
  /** The message that take() found: `bytes[start … end)`, valid until the next push(). */
  bytes: Uint8Array = empty;
  start = 0;
  end = 0;
  /** Its flag byte. */
  flags = 0;
  readonly #messageBytesMax: number;
  readonly #held: MemoryShare;
  #at = 0;
  /** Where messages that span chunks are put together; `bytes` is then its filled part. */
  #joined: Uint8Array = empty;

  /** `held` counts the room for what is incomplete. */
  constructor(messageBytesMax: number, held: MemoryShare) {
    this.#messageBytesMax = messageBytesMax;
    this.#held = held;
  }

  /**
   * Adds bytes. All whole messages of the chunk before must have been taken, and are not looked at again. Fault
   * "overloaded" when the incomplete messages of all callers leave no room for this one.
   */
  push(chunk: Uint8Array): void {
    this.#held.progress(chunk.length);
    const rest = this.bytes.length - this.#at;
    if (rest > 0) {
      this.#join(chunk, rest);
      return;
    }
    if (this.#joined.length > keptBytesMax) this.#letGo();
    this.bytes = chunk;
    this.#at = 0;
  }

  /** Steps to the next whole message; false when there is none yet. Fault "too-large" as soon as a length says so. */
  take(): boolean {
    const { bytes } = this;
    const body = this.#at + envelopeBytes;
    if (body > bytes.length) {
      if (this.#at === bytes.length && this.#held.tight) this.#letGo();
      return false;
    }
    const length = readU32be(bytes, this.#at + 1);
    if (length > this.#messageBytesMax) throw tooLarge(this.#messageBytesMax);
    if (body + length > bytes.length) return false;
    this.flags = bytes[this.#at] as number;
    this.start = body;
    this.end = body + length;
    this.#at = this.end;
    return true;
  }

  /** Bytes of an incomplete message at hand. */
  get pending(): number {
    return this.bytes.length - this.#at;
  }

  /** Nothing is incomplete: the room may go. */
  #letGo(): void {
    this.#joined = empty;
    this.bytes = empty;
    this.#at = 0;
    this.#held.hold(0);
  }

  /** The room is used again and again, and doubles when it must: many small chunks cost one copy each on the whole. */
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
      const room = Math.min(total * 2, total + this.#messageBytesMax);
      this.#held.hold(room);
      this.#joined = Buffer.allocUnsafeSlow(room);
    }
    this.#joined.set(left, 0);
    this.#joined.set(chunk, rest);
    this.bytes = this.#joined.subarray(0, total);
    this.#at = 0;
  }
}

/** Room that an idle stream may keep. */
const keptBytesMax = 256 * 1024;

/** A message whose length says that it is more than may be taken. */
export function tooLarge(limit: number): Fault {
  return new Fault("too-large", { message: `a message of more than ${limit} bytes`, facts: { limit } });
}
