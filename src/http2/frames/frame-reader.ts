/**
 * Bytes of a connection cut into the preface and frames, in chunks of any size.
 *
 *   connection := preface frame*
 *
 * Frames are handed on where they lie in the chunk. One that spans chunks is put together, but DATA without padding is
 * handed on in pieces. Each byte is copied at most once, and only the beginning of one frame is held. Pure.
 */
import { ConnectionError } from "./connection-error.ts";
import { errorCode, frameFlag, frameHeadBytes, framePayloadMax, frameType } from "./frames.ts";
import { PartialBytes } from "./partial-bytes.ts";

const nothing: Buffer = Buffer.alloc(0);
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export interface FrameSink {
  /** A frame, or a piece of a DATA frame: END_STREAM comes with the last one. */
  onFrame(type: number, flags: number, id: number, payload: Buffer): void;
  /** DATA may come in pieces now; else its frame is an error, which is found when it is whole. */
  takesPieces(): boolean;
  /** No frame is wanted now; what is left waits for the next read(). */
  isFull(): boolean;
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #partial = new PartialBytes();
  #rest: Buffer = nothing;
  #prefaceDone = false;
  /** The DATA frame whose payload is arriving. */
  readonly #data = { id: 0, flags: 0, left: 0 };

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Whole frames are left over, for which the sink was full. */
  get hasRest(): boolean {
    return this.#rest.length > 0;
  }

  /** A preface, or a frame that does not come in pieces, has begun and is not complete. */
  get hasPartial(): boolean {
    return this.#partial.length > 0 || !this.#prefaceDone;
  }

  /** Takes `chunk` behind what was left over. Throws ConnectionError. */
  read(chunk: Buffer = nothing): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = nothing;
    const partial = this.#partial;
    let at = 0;
    while (partial.length > 0 && at < bytes.length && !this.#sink.isFull()) {
      const part = bytes.subarray(at, at + this.#wanted(partial.view) - partial.length);
      partial.add(part);
      at += part.length;
      if (partial.length === this.#wanted(partial.view)) this.#readWhole(partial.take());
    }
    if (at === bytes.length) return;
    const left = at === 0 ? bytes : bytes.subarray(at);
    if (this.#sink.isFull()) this.#rest = left;
    else this.#readWhole(left);
  }

  /** How many bytes the piece that begins so has, as far as can be told: a frame's head, a frame, the preface. */
  #wanted(begun: Buffer): number {
    if (!this.#prefaceDone) return preface.length;
    if (begun.length < frameHeadBytes || this.#comesInPieces(begun, 0)) return frameHeadBytes;
    return frameHeadBytes + frameLength(begun, 0);
  }

  /** The frame whose head stands at `at` may be handed on as it arrives. */
  #comesInPieces(bytes: Buffer, at: number): boolean {
    const isBare = bytes[at + 3] === frameType.data && !((bytes[at + 4] as number) & frameFlag.padded);
    return isBare && this.#sink.takesPieces();
  }

  /** Takes at least one piece. A beginning is copied, so that the chunk it came in can go. */
  #readWhole(bytes: Buffer): void {
    let at = this.#prefaceDone ? 0 : this.#readPreface(bytes);
    if (!this.#prefaceDone) {
      this.#partial.add(bytes);
      return;
    }
    if (this.#data.left > 0) at = this.#readData(bytes, at);
    while (at + frameHeadBytes <= bytes.length) {
      const start = at + frameHeadBytes;
      const end = start + frameLength(bytes, at);
      const flags = bytes[at + 4] as number;
      const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      if (end <= bytes.length) {
        this.#sink.onFrame(bytes[at + 3] as number, flags, id, bytes.subarray(start, end));
        at = end;
      } else if (this.#comesInPieces(bytes, at)) {
        this.#data.id = id;
        this.#data.flags = flags;
        this.#data.left = end - start;
        at = this.#readData(bytes, start);
      } else break;
      if (at < bytes.length && this.#sink.isFull()) {
        this.#rest = bytes.subarray(at);
        return;
      }
    }
    if (at < bytes.length) this.#partial.add(bytes.subarray(at));
  }

  /** Hands on the next piece of a DATA frame; answers where it ends. */
  #readData(bytes: Buffer, at: number): number {
    const data = this.#data;
    const end = Math.min(bytes.length, at + data.left);
    data.left -= end - at;
    const flags = data.left > 0 ? data.flags & ~frameFlag.endStream : data.flags;
    if (end > at) this.#sink.onFrame(frameType.data, flags, data.id, bytes.subarray(at, end));
    return end;
  }

  /** Answers how many bytes of the preface were there; throws as soon as it cannot be one. */
  #readPreface(begun: Buffer): number {
    const bytes = Math.min(begun.length, preface.length);
    if (!begun.subarray(0, bytes).equals(preface.subarray(0, bytes))) {
      throw new ConnectionError(errorCode.protocol, "not the preface of HTTP/2");
    }
    this.#prefaceDone = bytes === preface.length;
    return bytes;
  }
}

/** A frame's payload bytes by its head. */
function frameLength(bytes: Buffer, at: number): number {
  const length = bytes.readUIntBE(at, 3);
  if (length > framePayloadMax) throw new ConnectionError(errorCode.frameSize, "a frame is too large");
  return length;
}
