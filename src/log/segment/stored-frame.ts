/**
 * Reads and checks a frame of a segment. Every frame that comes from a disk passes here before it is handed out.
 */
import type { RaftIndex } from "../../types.ts";
import type { ChainFlaw } from "../frame/chain.ts";
import { checkFrame, frameBytes, frameBytesMax, frameIndex, prefixBytes } from "../frame/frame.ts";
import { checkPayload } from "../frame/payload.ts";
import type { Segment } from "./segment.ts";

/** The most that is read from a segment at once, unless a frame is larger. */
const chunkBytesMax = 4 * 1024 * 1024;

/**
 * Returns the frame of `index`, which has `length` bytes at `position` of the store.
 * @throws Fault "corrupt" if it is damaged
 */
export function readFrame(segment: Segment, index: RaftIndex, position: number, length: number): Uint8Array {
  if (length < prefixBytes || length > frameBytesMax) throw segment.damaged(position, "length");
  const frame = Buffer.allocUnsafeSlow(length);
  const filled = segment.read(frame, position);
  const flaw = flawAt(frame, 0, filled, index);
  if (flaw !== undefined) throw segment.damaged(position, flaw);
  if (frameBytes(frame, 0) !== length) throw segment.damaged(position, "length");
  return frame;
}

/**
 * Reads checked frames from index `first`, which stands at `position`, up to index `last`: about `maxBytes` of them, at
 * least one.
 */
export function readChunk(
  segment: Segment,
  first: RaftIndex,
  position: number,
  maxBytes: number,
  last: RaftIndex,
  buffer?: Uint8Array,
): Uint8Array {
  const available = segment.bytes - position;
  const size = Math.min(available, Math.max(prefixBytes, Math.min(maxBytes, chunkBytesMax)));
  let chunk =
    buffer !== undefined && size <= buffer.length ? buffer.subarray(0, size) : Buffer.allocUnsafeSlow(size);
  let filled = segment.read(chunk, position);
  let at = 0;
  for (let index = first; index <= last && at < filled; index++) {
    const flaw = flawAt(chunk, at, filled, index);
    if (flaw === "short" && at > 0 && filled < available) break;
    if (
      flaw === "short" &&
      filled < available &&
      filled >= prefixBytes &&
      frameBytes(chunk, 0) <= Math.min(available, frameBytesMax)
    ) {
      chunk = Buffer.allocUnsafeSlow(frameBytes(chunk, 0));
      filled = segment.read(chunk, position);
      index--;
      continue;
    }
    if (flaw !== undefined) {
      if (at > 0) break; // the sound frames are returned; the next read begins at the damage
      throw segment.damaged(position + at, flaw);
    }
    at += frameBytes(chunk, at);
  }
  return chunk.subarray(0, at);
}

/** Returns what is wrong with the frame at `at`, which must have this index and well-formed records; or undefined. */
export function flawAt(bytes: Uint8Array, at: number, end: number, index: RaftIndex): ChainFlaw | undefined {
  const flaw = checkFrame(bytes, at, end);
  if (flaw !== undefined) return flaw;
  return frameIndex(bytes, at) === index ? checkPayload(bytes, at) : "index";
}
