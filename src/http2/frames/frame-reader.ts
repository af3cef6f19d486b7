/**
 * Splits the bytes of a connection into the preface and frames (RFC 9113 §3.4 and §4).
 *
 *   connection := preface frame*
 *
 * Chunks may have any size. A frame within a chunk is passed on as a view of it. A frame that spans chunks is joined
 * first, but unpadded DATA is passed on in pieces as it arrives. Each byte is copied at most once, and only the
 * incomplete part of one frame is kept.
 */

import { ByteAccumulator } from "../../lib/byte-accumulator.ts";
import { ConnectionError } from "./connection-error.ts";
import { errorCode, frameFlag, frameHeadBytes, framePayloadMax, frameType } from "./frames.ts";

const empty: Buffer = Buffer.alloc(0);
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export interface FrameSink {
  /** Takes a frame, or a piece of a DATA frame. END_STREAM is set on the last piece only. */
  onFrame(type: number, flags: number, id: number, payload: Buffer): void;
  /** True if DATA may come in pieces. False where DATA is an error: the whole frame is needed to report it. */
  takesPieces(): boolean;
  /** True if it takes no frame now. The rest waits for the next read(). */
  isFull(): boolean;
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #partial = new ByteAccumulator();
  #rest: Buffer = empty;
  #prefaceDone = false;
  /** The DATA frame whose payload is arriving. */
  readonly #data = { id: 0, flags: 0, bytesLeft: 0 };

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True if bytes are left because the sink was full. */
  get hasRest(): boolean {
    return this.#rest.length > 0;
  }

  /** True while the preface, or a frame that does not come in pieces, is incomplete. */
  get hasPartial(): boolean {
    return this.#partial.length > 0 || !this.#prefaceDone;
  }

  /**
   * Reads what was left, then `chunk`.
   * @throws ConnectionError if the preface is wrong or a frame is larger than framePayloadMax
   */
  read(chunk: Buffer = empty): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = empty;
    const partial = this.#partial;
    let at = 0;
    while (partial.length > 0 && at < bytes.length && !this.#sink.isFull()) {
      const part = bytes.subarray(at, at + this.#bytesOf(partial.view) - partial.length);
      partial.add(part);
      at += part.length;
      if (partial.length === this.#bytesOf(partial.view)) this.#readFrames(partial.take());
    }
    if (at === bytes.length) return;
    const left = at === 0 ? bytes : bytes.subarray(at);
    if (this.#sink.isFull()) this.#rest = left;
    else this.#readFrames(left);
  }

  /** The size of the item whose first bytes are `first`, as far as they show it: frame head, frame or preface. */
  #bytesOf(first: Buffer): number {
    if (!this.#prefaceDone) return preface.length;
    if (first.length < frameHeadBytes || this.#comesInPieces(first, 0)) return frameHeadBytes;
    return frameHeadBytes + payloadBytes(first, 0);
  }

  /** True if the frame whose head is at `at` may be passed on as it arrives. */
  #comesInPieces(bytes: Buffer, at: number): boolean {
    const isUnpaddedData =
      bytes[at + 3] === frameType.data && !((bytes[at + 4] as number) & frameFlag.padded);
    return isUnpaddedData && this.#sink.takesPieces();
  }

  /** Takes all frames of `bytes`. An incomplete frame at the end is copied, so that the chunk can be freed. */
  #readFrames(bytes: Buffer): void {
    let at = this.#prefaceDone ? 0 : this.#readPreface(bytes);
    if (!this.#prefaceDone) {
      this.#partial.add(bytes);
      return;
    }
    if (this.#data.bytesLeft > 0) at = this.#readData(bytes, at);
    while (at + frameHeadBytes <= bytes.length) {
      const start = at + frameHeadBytes;
      const end = start + payloadBytes(bytes, at);
      const flags = bytes[at + 4] as number;
      const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      if (end <= bytes.length) {
        this.#sink.onFrame(bytes[at + 3] as number, flags, id, bytes.subarray(start, end));
        at = end;
      } else if (this.#comesInPieces(bytes, at)) {
        this.#data.id = id;
        this.#data.flags = flags;
        this.#data.bytesLeft = end - start;
        at = this.#readData(bytes, start);
      } else break;
      if (at < bytes.length && this.#sink.isFull()) {
        this.#rest = bytes.subarray(at);
        return;
      }
    }
    if (at < bytes.length) this.#partial.add(bytes.subarray(at));
  }

  /** Passes on the next piece of a DATA frame. Returns the position behind it. */
  #readData(bytes: Buffer, at: number): number {
    const data = this.#data;
    const end = Math.min(bytes.length, at + data.bytesLeft);
    data.bytesLeft -= end - at;
    const flags = data.bytesLeft > 0 ? data.flags & ~frameFlag.endStream : data.flags;
    if (end > at) this.#sink.onFrame(frameType.data, flags, data.id, bytes.subarray(at, end));
    return end;
  }

  /** Returns how many of the bytes belong to the preface. The first wrong byte is an error. */
  #readPreface(first: Buffer): number {
    const bytes = Math.min(first.length, preface.length);
    if (!first.subarray(0, bytes).equals(preface.subarray(0, bytes))) {
      throw new ConnectionError(errorCode.protocol, "the connection does not begin with the HTTP/2 preface");
    }
    this.#prefaceDone = bytes === preface.length;
    return bytes;
  }
}

/** The payload size in the frame head at `at`. */
function payloadBytes(bytes: Buffer, at: number): number {
  const length = bytes.readUIntBE(at, 3);
  if (length > framePayloadMax) {
    throw new ConnectionError(errorCode.frameSize, `a frame of ${length} bytes is too large`);
  }
  return length;
}
