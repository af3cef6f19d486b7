/**
 * Reads and checks a frame of a segment. Every frame that comes from a disk passes here before it is handed out.
 */
import type { RaftIndex } from "../../types.ts";
import type { ChainFlaw } from "../frame/chain.ts";
import { checkFrame, frameBytes, frameBytesMax, frameIndex, prefixBytes } from "../frame/frame.ts";
import { checkPayload } from "../frame/payload.ts";
import type { Segment } from "./segment.ts";

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

/** Returns what is wrong with the frame at `at`, which must have this index and well-formed records; or undefined. */
export function flawAt(bytes: Uint8Array, at: number, end: number, index: RaftIndex): ChainFlaw | undefined {
  const flaw = checkFrame(bytes, at, end);
  if (flaw !== undefined) return flaw;
  return frameIndex(bytes, at) === index ? checkPayload(bytes, at) : "index";
}
