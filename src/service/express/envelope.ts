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

export const envelopeBytes = 5;

/** Flag bits of an envelope. */
export const flag = { compressed: 1, endStream: 2, trailers: 0x80 } as const;

export class EnvelopeReader {
  /** The message that take() found: `bytes[start … end)`, valid until the next push(). */
  bytes: Uint8Array = empty;
  start = 0;
  end = 0;
  /** Its flag byte. */
  flags = 0;
  readonly #messageBytesMax: number;
  #at = 0;
  /** Where messages that span chunks are put together; `bytes` is then its filled part. */
  #joined: Uint8Array | undefined;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Adds bytes. All whole messages of the chunk before must have been taken. */
  push(chunk: Uint8Array): void {
    const rest = this.bytes.length - this.#at;
    if (rest === 0) {
      this.bytes = chunk;
      this.#joined = undefined;
      this.#at = 0;
    } else {
      this.#join(chunk, rest);
    }
  }

  /** Steps to the next whole message; false when there is none yet. Fault "too-large" as soon as a length says so. */
  take(): boolean {
    const { bytes } = this;
    const body = this.#at + envelopeBytes;
    if (body > bytes.length) return false;
    const length = readU32be(bytes, this.#at + 1);
    if (length > this.#messageBytesMax) throw tooLarge(length, this.#messageBytesMax);
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

  /** Doubles its room when it has to move, so that many small chunks cost one copy each on the whole. */
  #join(chunk: Uint8Array, rest: number): void {
    const filled = this.bytes.length;
    const total = rest + chunk.length;
    if (this.#joined !== undefined && filled + chunk.length <= this.#joined.length) {
      this.#joined.set(chunk, filled);
      this.bytes = this.#joined.subarray(0, filled + chunk.length);
      return;
    }
    const joined = Buffer.allocUnsafeSlow(total * 2);
    joined.set(this.bytes.subarray(this.#at), 0);
    joined.set(chunk, rest);
    this.#joined = joined;
    this.bytes = joined.subarray(0, total);
    this.#at = 0;
  }
}

const empty = new Uint8Array(0);

function tooLarge(bytes: number, limit: number): Fault {
  return new Fault("too-large", {
    message: `a message of ${bytes} bytes, the limit is ${limit}`,
    facts: { bytes, limit },
  });
}
