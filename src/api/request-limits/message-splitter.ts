/**
 * Finds the messages in a body of envelopes (lib/envelope.ts), and takes out those that must be checked.
 *
 * All other bytes are passed on unchanged. A message that is too long is passed on with everything after it, and so is
 * an incomplete message at the end: Connect refuses these.
 */
import { readU32be } from "../../lib/bytes.ts";
import { envelopeBytes } from "../../lib/envelope.ts";
import { GatheredBytes } from "./gathered-bytes.ts";

export type BodyPart =
  /** Bytes to pass on. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** A message that was taken out. `number` counts the messages of the body from 0. */
  | { readonly kind: "message"; readonly bytes: Buffer; readonly flags: number; readonly number: number }
  /** Many messages were passed on since the last turn: other work should get a turn. */
  | { readonly kind: "turn" };

/** Messages between two turns. */
const turnMessagesMax = 512;

export class MessageSplitter {
  readonly #isTaken: (length: number, flags: number) => boolean;
  readonly #bytesMax: number;
  readonly #prefix = new Uint8Array(envelopeBytes);
  #prefixed = 0;
  /** Missing bytes of the current message. */
  #left = 0;
  #taken: GatheredBytes | undefined;
  #number = 0;
  #sinceTurn = 0;
  #passesAll = false;

  /** `isTaken` decides by length and flags. It is not called for a message of more than `bytesMax` bytes. */
  constructor(bytesMax: number, isTaken: (length: number, flags: number) => boolean) {
    this.#bytesMax = bytesMax;
    this.#isTaken = isTaken;
  }

  *push(chunk: Uint8Array): Generator<BodyPart> {
    /** The bytes from here to `at` are to be passed on. */
    let from = 0;
    let at = 0;
    while (at < chunk.length && !this.#passesAll) {
      if (this.#left > 0) {
        const bytes = Math.min(this.#left, chunk.length - at);
        this.#left -= bytes;
        at += bytes;
        if (this.#taken !== undefined) {
          this.#taken.add(chunk.subarray(at - bytes, at));
          from = at;
        }
      } else {
        const start = at;
        at = this.#readPrefix(chunk, at);
        const isWhole = this.#prefixed === envelopeBytes;
        if (!isWhole || this.#begins()) {
          yield* passed(chunk, from, start);
          from = at;
        } else if (at - start < envelopeBytes) {
          // The start of the prefix came with the chunk before.
          yield { kind: "bytes", bytes: this.#prefix.slice() };
          from = at;
        }
        if (!isWhole) break;
      }
      if (this.#left > 0 || this.#passesAll) continue;
      if (this.#taken !== undefined) yield this.#message(this.#taken);
      this.#prefixed = 0;
      this.#number++;
      if (++this.#sinceTurn < turnMessagesMax) continue;
      this.#sinceTurn = 0;
      yield* passed(chunk, from, at);
      from = at;
      yield { kind: "turn" };
    }
    yield* passed(chunk, from, chunk.length);
  }

  /** Returns the incomplete message at the end of the body. */
  *end(): Generator<BodyPart> {
    const isBuffered = this.#taken !== undefined || this.#prefixed < envelopeBytes;
    if (isBuffered && !this.#passesAll) yield* passed(this.#prefix, 0, this.#prefixed);
    if (this.#taken !== undefined && this.#taken.length > 0) {
      yield { kind: "bytes", bytes: this.#taken.take() };
    }
  }

  #readPrefix(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length && this.#prefixed < envelopeBytes) this.#prefix[this.#prefixed++] = chunk[at++]!;
    return at;
  }

  /** Begins the message of the prefix. Returns true if it is taken out. */
  #begins(): boolean {
    const length = readU32be(this.#prefix, 1);
    if (length > this.#bytesMax) {
      this.#passesAll = true;
      return false;
    }
    this.#left = length;
    if (!this.#isTaken(length, this.#prefix[0]!)) return false;
    this.#taken = new GatheredBytes();
    return true;
  }

  #message(taken: GatheredBytes): BodyPart {
    this.#taken = undefined;
    return { kind: "message", bytes: taken.take(), flags: this.#prefix[0]!, number: this.#number };
  }
}

function* passed(bytes: Uint8Array, from: number, to: number): Generator<BodyPart> {
  // The buffer of the prefix is reused.
  if (to > from)
    yield {
      kind: "bytes",
      bytes: bytes.length === envelopeBytes ? bytes.slice(from, to) : bytes.subarray(from, to),
    };
}
