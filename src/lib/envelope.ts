/**
 * The envelope in which gRPC, gRPC-Web and streaming Connect send each message of a body (gRPC over HTTP/2,
 * "Length-Prefixed-Message").
 *
 *   envelope := flags:u8  length:u32be  message[length]
 */
import { writeU32be } from "./bytes.ts";

/** Bytes in front of each message. */
export const envelopeBytes = 5;

/** Bits of the flags byte: `endStream` is Connect's, `trailers` gRPC-Web's. */
export const envelopeFlag = { compressed: 1, endStream: 2, trailers: 0x80 } as const;

/** Returns `message` in an envelope. The message is copied. */
export function encodeEnvelope(message: Uint8Array, flags = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(envelopeBytes + message.length);
  bytes.set(message, envelopeBytes);
  writeEnvelopeHead(bytes, 0, bytes.length, flags);
  return bytes;
}

/** Writes flags and length at `at`, for a message that starts at `at + envelopeBytes` and ends at `end`. Returns `end`. */
export function writeEnvelopeHead(bytes: Uint8Array, at: number, end: number, flags = 0): number {
  bytes[at] = flags;
  writeU32be(bytes, at + 1, end - at - envelopeBytes);
  return end;
}
