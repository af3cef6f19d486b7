/**
 * HTTP/2 frames (RFC 9113 §4 and §6): numbers and how a head is written. Pure.
 *
 *   frame := length:u24  type:u8  flags:u8  stream:u31  payload
 *
 * Never: knows what a frame does.
 */
import type { OutBuffer } from "./out-buffer.ts";

export const frameHeadBytes = 9;
/** What everybody must take, and all that we send or allow. */
export const framePayloadMax = 16_384;

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const setting = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const errorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

export const windowMax = 0x7fff_ffff;

/** Writes a frame's head, and room for `inlineBytes` of payload behind it; answers where the payload stands. */
export function writeFrameHead(
  out: OutBuffer,
  payloadBytes: number,
  type: number,
  flags: number,
  stream: number,
  inlineBytes = payloadBytes,
): number {
  const at = out.reserve(frameHeadBytes + inlineBytes);
  const { target } = out;
  target[at] = payloadBytes >>> 16;
  target[at + 1] = payloadBytes >>> 8;
  target[at + 2] = payloadBytes;
  target[at + 3] = type;
  target[at + 4] = flags;
  target.writeUInt32BE(stream, at + 5);
  return at + frameHeadBytes;
}

/** A frame whose payload is one 32-bit number: WINDOW_UPDATE, RST_STREAM. */
export function writeU32Frame(out: OutBuffer, type: number, stream: number, value: number): void {
  const at = writeFrameHead(out, 4, type, 0, stream);
  out.target.writeUInt32BE(value, at);
}
